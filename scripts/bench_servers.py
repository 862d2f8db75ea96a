"""Plain servers of the same module, to hold the gateway against: no transform, no log, no checks.

    bench_servers.py fastapi PORT BUNDLE           FastAPI under uvicorn
    bench_servers.py serve PORT BUNDLE HOME MARK   Ray Serve, as the gateway's is started

Each ends when its input does.
"""

import contextlib
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import orjson


class Model:
    """The module of a bundle, asked with a row of the Open Inference Protocol's JSON."""

    def __init__(self, bundle: str) -> None:
        import torch

        from raypipe.model.bundle import load_bundle

        torch.set_num_threads(1)
        loaded = load_bundle(Path(bundle), Path)
        self.torch = torch
        self.module = loaded.predictor.module
        self.names = [feature.name for feature in loaded.signature.features]

    def answer(self, body: bytes) -> bytes:
        """Return what the module makes of the numbers as they are."""
        given = {one["name"]: one["data"] for one in orjson.loads(body)["inputs"]}
        if not given:  # it is asked whether it is up
            return b"{}"
        rows = list(zip(*(given[name] for name in self.names), strict=True))
        with self.torch.inference_mode():
            logits = self.module({"dense": self.torch.tensor(rows)})
            scores = self.torch.sigmoid(logits[:, 0]).tolist()
        outputs = [{"name": "p", "shape": [len(rows)], "datatype": "FP32", "data": scores}]
        return orjson.dumps({"model_name": "plain", "outputs": outputs})


def fastapi(port: int, bundle: str) -> None:
    """Serve with FastAPI under uvicorn."""
    import uvicorn
    from fastapi import FastAPI, Request, Response

    app, model = FastAPI(), Model(bundle)

    @app.post("/infer")
    async def infer(request: Request) -> Response:
        return Response(model.answer(await request.body()), media_type="application/json")

    settings = uvicorn.Config(app, port=port, log_level="warning", access_log=False)
    server = uvicorn.Server(settings)

    def stop() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=stop, daemon=True).start()
    server.run()


def serve(port: int, bundle: str, home: str, mark: str) -> None:
    """Serve with Ray Serve, HAProxy and its options for throughput as the gateway has them."""
    from raypipe.stages.serving.on_ray import close_ray, start_ray

    with tempfile.TemporaryDirectory(
        prefix=f"rp-{os.getpid()}-", ignore_cleanup_errors=True
    ) as folder:
        start_ray(Path(home), mark, Path(folder))
        from ray import serve
        from starlette.requests import Request
        from starlette.responses import Response

        @serve.deployment(max_ongoing_requests=1000, ray_actor_options={"num_cpus": 0})
        class Plain:
            def __init__(self) -> None:
                sys.path.insert(0, str(Path(__file__).parent))
                from bench_servers import Model

                self.model = Model(bundle)

            async def __call__(self, request: Request) -> Response:
                answer = self.model.answer(await request.body())
                return Response(answer, media_type="application/json")

        Plain.func_or_class.__init__.__globals__["__file__"] = __file__
        quiet: Any = {"enable_access_log": False, "log_level": "WARNING"}
        serve.start(http_options={"port": port}, logging_config=quiet)
        serve.run(Plain.bind(), route_prefix="/infer", logging_config=quiet)
        sys.stdin.read()
        with contextlib.suppress(Exception):
            serve.shutdown()
        close_ray()
        time.sleep(0.5)


if __name__ == "__main__":
    kind, port, *others = sys.argv[1:]
    {"fastapi": fastapi, "serve": serve}[kind](int(port), *others)
