FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
# The tools that install stay in an environment of their own, so that the image carries neither.
RUN python -m venv /tools && python -m venv --without-pip /app
COPY requirements.lock requirements-build.lock ./
RUN /tools/bin/pip install --quiet --require-hashes -r requirements-build.lock \
 && /tools/bin/pip --python /app/bin/python install --quiet --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY worker worker
RUN /tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /tools/bin/pip --python /app/bin/python install --quiet --no-deps --no-index /wheels/*.whl

FROM python:3.13-slim
LABEL org.opencontainers.image.title="points-worker" \
      org.opencontainers.image.description="Applies loyalty points adjustments in order, once" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1
COPY --from=build /app /app
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# Ready, or told to serve no pages that could say so.
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", "\
import os, urllib.request; \
port = int(os.environ.get('POINTS_HTTP_PORT') or 8080); \
port and urllib.request.urlopen(f'http://127.0.0.1:{port}/readyz', timeout=4)"]
ENTRYPOINT ["points-worker"]
CMD ["run", "--setup"]
