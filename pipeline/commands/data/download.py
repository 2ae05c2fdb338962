"""`pneumo download`."""

from pathlib import Path

import click


@click.command(epilog="Example: pneumo download kaggle chest_xray")
@click.argument("name", metavar="NAME", type=click.Choice(["kaggle", "rsna"]))
@click.argument("dest", type=click.Path(path_type=Path))
def command(name: str, dest: Path) -> None:
    """Download a public data set to the folder DEST (needs network and credentials).

    kaggle: the pediatric NORMAL / PNEUMONIA set. rsna: the Pneumonia Detection Challenge; accept
    its rules on Kaggle's site first.
    """
    from core.ingest.kaggle import DATASETS, download

    folder = download(name, dest)
    click.echo(f"{name} is in {folder}")
    click.echo(f"next: {DATASETS[name].next} {folder}")
