"""One Python worker of an engine; `pipeline.engines.pool` starts it."""

import sys


def main() -> None:
    """Connects to the engine at argv[1] as the worker argv[2] and works until it hangs up."""
    import tfx  # noqa: F401  before TFDV, which fails when it is imported first; cheap by itself
    from apache_beam.runners.worker.sdk_worker import SdkHarness

    endpoint, name = sys.argv[1:]
    SdkHarness(endpoint, worker_id=name, state_cache_size=100 << 20).run()


if __name__ == "__main__":
    main()
