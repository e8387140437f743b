"""Every check, in the order in which they run: what may be wrong before what may be slow."""

from __future__ import annotations

from gpu_checks.base import ANY, GPU, GPUS, Check

CHECKS = (
    Check("equal_to_cpu", "trainings on the GPU equal those on the CPU", "equality:equal_to_cpu", GPU, 60),
    Check("bf16", "bf16 trains as 32 bit do", "equality:bf16", ANY, 60),
    Check("resumed", "a resumed training equals an unbroken one", "equality:resumed", ANY, 60),
    Check("packed", "networks of a pack equal those trained alone", "equality:packed", ANY, 60),
    Check("micro_batches", "batches in parts equal whole ones without batch norm", "equality:micro_batches", ANY, 60),
    Check("graphed", "steps as CUDA graphs equal plain ones", "equality:graphed", GPU, 60),
    Check("augmented", "augmented batches are the CPU's, and none waits", "batches:augmented", ANY, 60),
    Check("synchronisations", "no step waits for the device", "speed:synchronisations", GPU, 60),
    Check("out_of_memory", "a step beyond the memory is repeated in halves", "memory:out_of_memory", GPU, 60),
    Check("child_start", "a worker process trains on the device", "processes:child_start", ANY, 120),
    Check("slots", "a search runs several trials at once on one device", "processes:slots", ANY, 120),
    Check("ddp_gloo", "two processes on one device equal one with parts", "processes:ddp_gloo", ANY, 120),
    Check("ddp_nccl", "two GPUs equal one with parts", "processes:ddp_nccl", GPUS, 90),
    Check("small_networks", "packed or graphed small networks are 5 times faster", "speed:small_networks", GPU, 90),
    Check("busy", "the device is busy 90 % of a training of a large network", "speed:busy", GPU, 60),
    Check("hand_loop", "a training takes 1.05 times a plain loop at most", "speed:hand_loop", GPU, 60),
    Check("latency", "seconds of a prediction", "speed:latency", ANY, 60),
    Check("googlenet", "images a second beside torchvision's GoogLeNet", "speed:googlenet", GPU, 60),
    Check("compiled", "a compiled network trains as a plain one", "equality:compiled", GPU, 150),
)
