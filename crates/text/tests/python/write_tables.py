"""Writes the same 3,000 rows into a folder as pyarrow does by default and with its other options."""
import pathlib
import sys

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

FOLDER = pathlib.Path(sys.argv[1])
ROWS = range(3000)


def table(**types):
    columns = {
        "text": pa.array([f"text {row} é" for row in ROWS], types.get("text", pa.string())),
        "label": pa.array([["no", "yes"][row % 2] for row in ROWS], pa.string()),
        "labels": pa.array([["bug", "ui"][: row % 3] for row in ROWS], pa.list_(pa.string())),
        "number": pa.array(ROWS, types.get("number", pa.int64())),
        "score": pa.array([row / 4 for row in ROWS], types.get("score", pa.float64())),
        "flag": pa.array([row % 2 == 1 for row in ROWS]),
    }
    if types.get("dictionary"):
        columns["label"] = columns["label"].dictionary_encode()
    return pa.table(columns)


plain = table()
for compression in ["none", "snappy", "zstd", "gzip", "lz4"]:
    pq.write_table(plain, FOLDER / f"{compression}.parquet", compression=compression, row_group_size=1100)
pq.write_table(table(dictionary=True), FOLDER / "dictionary.parquet")
pq.write_table(table(text=pa.large_string(), number=pa.uint16(), score=pa.float32()), FOLDER / "types.parquet")
pq.write_table(plain, FOLDER / "version-2.parquet", data_page_version="2.0", use_dictionary=False)
for compression in ["uncompressed", "lz4", "zstd"]:
    feather.write_feather(plain, str(FOLDER / f"{compression}.feather"), compression=compression)
feather.write_feather(table(dictionary=True), str(FOLDER / "dictionary.feather"))
with pa.OSFile(str(FOLDER / "stream.arrow"), "wb") as sink, pa.ipc.new_stream(sink, plain.schema) as writer:
    writer.write_table(plain, max_chunksize=700)
