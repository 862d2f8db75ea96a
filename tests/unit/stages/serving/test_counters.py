"""Counters add up, and are told as Prometheus reads them."""

from raypipe.stages.serving.counters import Counters


def test_each_way_and_status_is_counted_by_itself():
    counters = Counters()
    counters.count("flights", "1.0.0", "infer", 200, 0.25, 3)
    counters.count("flights", "1.0.0", "infer", 200, 0.5, 4)
    counters.count("flights", "1.0.0", "predict", 400, 0.125, 0)
    lines = counters.text(7, 99).splitlines()
    infer = '{model="flights",version="1.0.0",via="infer",status="200"}'
    predict = '{model="flights",version="1.0.0",via="predict",status="400"}'
    assert f"raypipe_requests_total{infer} 2" in lines
    assert f"raypipe_requests_total{predict} 1" in lines
    assert f"raypipe_request_seconds_total{infer} 0.750000" in lines
    assert 'raypipe_rows_total{model="flights",version="1.0.0"} 7' in lines
    assert "raypipe_log_records_total 7" in lines
    assert "raypipe_log_bytes_total 99" in lines


def test_each_counter_is_declared_before_it_is_told():
    counters = Counters()
    counters.count("m", "1", "infer", 200, 0.0, 1)
    declared: set[str] = set()
    for line in counters.text(0, 0).splitlines():
        if line.startswith("# TYPE "):
            declared.add(line.split()[2])
        else:
            assert line.partition("{")[0].split()[0] in declared


def test_a_name_with_quotes_stays_one_name():
    counters = Counters()
    counters.count('a"b\\c\nd', "1", "infer", 200, 0.0, 1)
    assert 'model="a\\"b\\\\c\\nd"' in counters.text(0, 0)
