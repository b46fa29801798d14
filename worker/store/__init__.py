"""The books in Postgres. Only here is `asyncpg` imported; the SQL stands in `.sql` files."""
