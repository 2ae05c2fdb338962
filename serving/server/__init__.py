"""TF Serving's contract, REST and gRPC, on Ray Serve, for machines without TF Serving itself.

The process of `pneumo serve` is the front: it speaks both protocols, keeps the limits, watches the
folder of versions and decides which one answers. Each version is an application of Ray Serve, with
replicas in processes of their own: Ray starts, checks, balances, restarts and stops them. So a
version that breaks its process breaks no other, a version that is gone gives all its memory back,
and what a new version must prove before it is served, it proves where it would serve.
"""
