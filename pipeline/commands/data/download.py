"""`pneumo download`."""

from pathlib import Path

import click


@click.command(epilog="Example: pneumo download kaggle chest_xray")
@click.argument("name", metavar="NAME", type=click.Choice(["kaggle", "rsna"]))
@click.argument("dest", type=click.Path(path_type=Path))
def command(name: str, dest: Path) -> None:
    """Fetch a public data set to the folder DEST (needs network and credentials).

    kaggle: the paediatric NORMAL / PNEUMONIA set. rsna: the Pneumonia Detection Challenge, whose
    rules must be accepted on Kaggle's site first.
    """
    from core.ingest.kaggle import DATASETS, download

    folder = download(name, dest)
    click.echo(f"{name} is in {folder}")
    click.echo(f"next: {DATASETS[name].next} {folder}")
