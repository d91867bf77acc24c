"""llama.cpp's server on a free port, with the random model: says where it listens, and serves until it is killed."""

import os
import signal
import tempfile

import xllamacpp

import random_model

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "random.gguf")
    random_model.write(path)
    settings = xllamacpp.CommonParams()
    settings.model.path = path
    settings.model_alias = {"random"}
    settings.n_ctx = 2 * random_model.CONTEXT
    settings.n_parallel = 2
    settings.cpuparams.n_threads = 1
    settings.cache_prompt = False
    settings.warmup = False
    settings.ui = False
    server = xllamacpp.Server(settings)

print(f"LISTENING {server.listening_address}", flush=True)
signal.pause()
