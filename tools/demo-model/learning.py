"""One training loop for several processes of one thread each: on a small machine they get more done than threads that wait for each other."""

from __future__ import annotations

import math
import os
import socket
import time

import torch
import torch.distributed
import torch.multiprocessing

PROCESSES = int(os.environ.get("PROCESSES", os.cpu_count() or 1))


def start(worker, args):
    """Runs worker(rank, args) in every process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ |= dict(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free.getsockname()[1]))
    torch.multiprocessing.spawn(_run, (worker, args), nprocs=PROCESSES)


def _run(rank: int, worker, args):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=PROCESSES)
    worker(rank, args)
    torch.distributed.destroy_process_group()


def rate_at(done: float) -> float:
    """Of the highest rate; `done`: share of the time."""
    return min(done / 0.02, 1.0) * (0.49 * (1 + math.cos(math.pi * done)) + 0.02)


def learn(optimizer: torch.optim.Optimizer, minutes: float, step_loss):
    """Calls step_loss(step, seconds) -> loss for that many minutes. Each group of the optimizer has its highest rate in `peak`."""
    begun, step, done = time.time(), 0, 0.0
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    while done < 1:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate_at(done)
        optimizer.zero_grad()
        step_loss(step, time.time() - begun).backward()
        done = _average(parameters, (time.time() - begun) / (60 * minutes))
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1


def _average(parameters: list, number: float) -> float:
    """Makes gradients those of all processes together; -> the mean of their numbers."""
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    flat = torch.cat([*(g.flatten() for g in gradients), torch.tensor([number])])
    torch.distributed.all_reduce(flat)
    flat /= PROCESSES
    at = 0
    for p in parameters:
        p.grad = flat[at : at + p.numel()].view_as(p).clone()
        at += p.numel()
    return float(flat[-1])
