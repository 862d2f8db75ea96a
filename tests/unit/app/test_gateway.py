"""What a gateway in the background prints takes a bounded place."""

from raypipe.app import gateway
from raypipe.store.paths import HomePaths


def test_a_large_log_begins_anew_while_it_is_written_and_one_of_before_is_kept(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(gateway, "LARGEST_LOG", 1_000)
    paths = HomePaths(tmp_path)
    paths.serve.mkdir()
    log = gateway.log_file(paths)
    with log.open("ab", buffering=0) as printed:
        for name in (b"a", b"b", b"c"):
            printed.write(name * 1_001)
            gateway.cut_log(paths)
            assert log.stat().st_size == 0
        printed.write(b"last")
        gateway.cut_log(paths)
    assert log.read_bytes() == b"last"
    assert log.with_name("gateway.log.1").read_bytes() == b"c" * 1_001
    assert {file.name for file in paths.serve.iterdir()} == {"gateway.log", "gateway.log.1"}


def test_without_a_log_nothing_is_done(tmp_path):
    gateway.cut_log(HomePaths(tmp_path))
    assert not list(tmp_path.iterdir())
