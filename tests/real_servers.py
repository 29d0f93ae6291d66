"""Starts real servers on loopback from the environment that `make servers` fills: vLLM, and `transformers serve`."""

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[1]
PYTHON = Path(os.environ.get("MMRETRIEVAL_SERVERS", ROOT / ".venv-servers")) / "bin" / "python"
START_SECONDS = 1200  # a busy machine is slow; a server that has died is told at once
# vLLM would translate a few small kernels at its first answer, which takes a compiler and minutes.
QUIET = {
    "TORCH_COMPILE_DISABLE": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
}


def vllm(folder, log):
    """One with log-probabilities of any token and JSON schemas. The class of the demo model runs by --model-impl.

    It trusts requests to say that sheets keep their size. MMRETRIEVAL_VLLM may name one that runs already and serves
    the folder in this way, as MODEL@URL: starting takes minutes.
    """
    if started := os.environ.get("MMRETRIEVAL_VLLM"):
        return nullcontext((None, started))
    return _running(
        log,
        "vllm.entrypoints.openai.api_server",
        *("--model", str(folder), "--served-model-name", "served", "--model-impl", "transformers"),
        *("--dtype", "float32", "--max-model-len", "1024", "--enforce-eager", "--limit-mm-per-prompt", '{"image": 16}'),
        "--trust-request-mm-kwargs",
        model="served",
    )


def transformers_serve(folder, log):
    """One without either."""
    return _running(log, "transformers.cli.transformers", "serve", str(folder), "--device", "cpu", model=str(folder))


@contextmanager
def _running(log, module, *arguments, model):
    """The process and the address MODEL@URL of the server, once it has answered; it is gone afterwards."""
    if not PYTHON.is_file():
        pytest.fail(f"the servers are not installed in {PYTHON.parents[1]}: make servers")
    port = _free_port()
    command = [str(PYTHON), "-m", module, *arguments, "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, **QUIET, "PATH": f"{PYTHON.parent}:{os.environ['PATH']}"}
    with log.open("wb") as out, _started(command, out, environment) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(process, url, model, log)
            yield process, f"{model}@{url}"
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _started(command, out, environment):
    """In a group of its own, since a server has workers that would outlive it."""
    return subprocess.Popen(command, stdout=out, stderr=out, env=environment, start_new_session=True)


def _wait_for(process, url, model, log):
    """Until it has answered one question: the first one takes a server far longer than any other."""
    body = {"model": model, "max_tokens": 1, "temperature": 0, "messages": [_turn("Say hello.")]}
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=START_SECONDS, trust_env=False)
        except httpx.TransportError:
            time.sleep(1)
        else:
            assert answer.status_code == 200, f"{answer.text[:500]}\n{_end_of(log)}"
            return
    pytest.fail(f"the server did not start:\n{_end_of(log)}")


def _turn(words):
    return {"role": "user", "content": [{"type": "text", "text": words}]}


def _end_of(log):
    return log.read_text("utf-8", "replace")[-3000:]


def _free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]
