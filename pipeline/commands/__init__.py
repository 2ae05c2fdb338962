"""The subcommands of `pneumo`, one module for each verb."""
