"""Makes the tables of TPC-H and the answers that DuckDB gives to its queries.

usage: prepare.py FOLDER SCALE QUERIES

Writes FOLDER/<table>.parquet, FOLDER/<table>.csv and FOLDER/answers.json: by the name of each query file of QUERIES, its
rows as texts, NULL as null.
"""
import json
import pathlib
import subprocess
import sys

import duckdb


def main():
    folder, scale, queries = sys.argv[1:]
    generator = pathlib.Path(sys.executable).with_name("tpchgen-cli")
    for form in ("parquet", "csv"):
        subprocess.run([generator, form, "--scale-factor", scale, "--output-dir", folder], check=True)
    session = duckdb.connect()
    for file in sorted(pathlib.Path(folder).glob("*.parquet")):
        session.execute(f"CREATE TABLE {file.stem} AS SELECT * FROM read_parquet('{file}')")
    answers = {}
    for query in sorted(pathlib.Path(queries).glob("q*.sql")):
        rows = session.execute(query.read_text()).fetchall()
        answers[query.stem] = [[None if value is None else str(value) for value in row] for row in rows]
    (pathlib.Path(folder) / "answers.json").write_text(json.dumps(answers))


main()
