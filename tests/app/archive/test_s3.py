"""Source and results on S3, held by moto's server."""

import io
import socket
import tarfile

import boto3
import pyarrow.parquet as pq
import pytest
import xarray as xr
from moto.server import ThreadedMotoServer

from hyperbolic_seg.app.archive import archive, connected, list_pictures
from hyperbolic_seg.app.archive.sources import file_system
from hyperbolic_seg.app.selection import Selection
from tests.app.archive.cheap import CheapRecipe
from tests.app.archive.skies import encoded, fill, name, serial


@pytest.fixture
def s3(monkeypatch):
    """A client of a server with a bucket; fsspec finds the server by its environment, as a user's would."""
    for key in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'):
        monkeypatch.setenv(key, 'testing')
    monkeypatch.setenv('AWS_DEFAULT_REGION', 'us-east-1')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    server = ThreadedMotoServer('127.0.0.1', port, verbose=False)
    server.start()
    monkeypatch.setenv('AWS_ENDPOINT_URL', f'http://127.0.0.1:{port}')
    client = boto3.client('s3')
    client.create_bucket(Bucket='sky')
    yield client
    file_system('s3://sky')[0].clear_instance_cache()
    server.stop()


def keys(s3, prefix):
    return {found['Key']: found['ETag'] for found in s3.list_objects_v2(Bucket='sky', Prefix=prefix)['Contents']}


def test_a_bucket_gives_what_a_folder_gives(s3, tmp_path):
    source = fill(tmp_path / 'source', 8, minutes=30)
    for path in sorted(source.rglob('*.png')):
        s3.put_object(Bucket='sky', Key=f'camera/{path.relative_to(source).as_posix()}', Body=path.read_bytes())
    shard = io.BytesIO()
    with tarfile.open(fileobj=shard, mode='w') as tar:
        member = tarfile.TarInfo('inside.png')
        content = encoded(500)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    s3.put_object(Bucket='sky', Key='camera/shard.tar', Body=shard.getvalue())
    with connected('threads', 2) as client:

        def run():
            return archive('s3://sky/camera', 's3://sky/out', CheapRecipe(), client, size=3, with_labels=True)

        summary = run()
        assert (summary.pictures, summary.done, summary.refused, summary.days) == (9, 9, 0, 2)
        assert not summary.failures
        fs, _ = file_system('s3://sky')
        paths = [f'sky/{key}' for key in keys(s3, 'out/records/')]
        rows = sorted(
            (row for path in paths for row in pq.read_table(path, filesystem=fs).to_pylist()),
            key=lambda row: row['image'],
        )
        expected = serial(source, CheapRecipe())
        assert [row['record'] for row in rows[:-1]] == [row['record'] for row in expected]
        assert rows[-1]['image'] == 'shard.tar/inside.png'
        stores = [f's3://sky/out/labels/2024-06-{day}.zarr' for day in (21, 22)]
        with xr.open_mfdataset(stores, engine='zarr') as found:
            assert found.labels.shape == (8, 32, 32) and found.image[0] == f'0000/{name(0)}'
        before = keys(s3, 'out/records/') | keys(s3, 'out/labels/')
        assert run().predicted == 0
        assert keys(s3, 'out/records/') | keys(s3, 'out/labels/') == before

        # Written by another process meanwhile, under the same name and with the same size.
        first = f'camera/0000/{name(0)}'
        s3.put_object(Bucket='sky', Key=first, Body=encoded(12 * 3)[:-1] + b'x')
        assert run().predicted > 0, 'its checksum tells'


def test_an_empty_prefix_is_refused(s3):
    with pytest.raises(FileNotFoundError, match='no folder or shard s3://sky/none'):
        list_pictures('s3://sky/none', Selection())
