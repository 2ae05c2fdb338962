# Commands of the project; `make` lists them.

VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CHECKED := schema core components serving pipeline image tests benchmarks docs notebooks setup.py requirements
# Two test processes, because each needs 5 GiB for TensorFlow. A file of tests runs in one process;
# tests/conftest.py puts the slowest files first.
PYTEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder
# Container image: cpu or gpu, and extra build arguments such as --build-arg BASE=...
VARIANT ?= cpu
BUILD_ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test test-all test-engines lint docs pictures bench protos client lock image sbom clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## Make .venv with the locked packages (PYTHON=... names the interpreter)

$(READY): requirements/lock-glibc-lt-2.39.txt requirements/lock-glibc-ge-2.39.txt \
		requirements/tools.txt requirements/setup.sh setup.py
	@bash requirements/setup.sh $(VENV)

run: $(READY) ## Set up, then run the whole pipeline on synthetic radiographs
	@$(BIN)/pneumo demo

test: lint ## Set up, check the code, then run the tests (PYTEST_ARGS=... for other options)
	@$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-all: $(READY) ## Run the tests that `make test` skips, every backbone, engines if fetched (hours)
	@$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)
	@$(BIN)/python -m pytest -v tests/all_backbones/every_backbone.py
	@[ ! -d $(VENV)/engines ] || $(MAKE) test-engines

test-engines: $(READY) ## Run ingest on Flink and Spark, and a pipeline on Flink
	@$(BIN)/python -m tests.engines.fetch $(VENV)/engines
	@PNEUMO_ENGINES=$(VENV)/engines $(BIN)/python -m pytest -v tests/engines

lint: $(READY) ## Check format, style and types
	@$(BIN)/ruff format --check --quiet $(CHECKED) || \
		{ echo "lint: files are not formatted; run $(BIN)/ruff format $(CHECKED)" >&2; exit 1; }
	@$(BIN)/ruff check --quiet $(CHECKED)
	@out=$$($(BIN)/lint-imports --no-cache --no-logo) || { echo "$$out" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary

docs: $(VENV)/docs/.ready ## Build the documentation into site/; a broken link or reference fails
	@$(BIN)/python docs/generate.py build/reference
	@$(VENV)/docs/bin/zensical build --strict --clean

pictures: $(READY) ## Take the pictures of docs/ from finished runs (RUN=, BOXES=, COMPARE= folders)
	@PYTHONPATH=. $(BIN)/python docs/pictures.py $(if $(RUN),--run $(RUN)) \
		$(if $(BOXES),--boxes $(BOXES)) $(if $(COMPARE),--compare $(COMPARE))

# The documentation tool has a separate environment, because the product does not depend on it.
$(VENV)/docs/.ready: requirements/docs.txt | $(READY)
	@rm -rf $(VENV)/docs && $(BIN)/python -m venv $(VENV)/docs
	@$(VENV)/docs/bin/pip install --quiet --disable-pip-version-check -r requirements/docs.txt
	@touch $@

bench: $(READY) ## Measure ingest, training, serving and the whole run against bare loops
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/bench.txt || \
		echo "bench: continuing without OpenVINO, which could not be installed" >&2
	@$(BIN)/python -m benchmarks

protos: $(READY) ## Regenerate the *_pb2.py modules from their .proto files
	@tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target "$$tools" \
		-r requirements/protos.txt && \
	PYTHONPATH="$$tools" $(BIN)/python -m grpc_tools.protoc -I. --python_out=. \
		schema/example.proto serving/client/tf_serving.proto

client: $(READY) ## Build the wheel of the client, pneumo_client, into dist/
	@$(BIN)/python -m serving.client.distribution dist

lock: $(READY) ## Regenerate the lock files from setup.py (UPGRADE=1: newest versions)
	@VENV=$(VENV) bash requirements/lock.sh $(if $(UPGRADE),--upgrade)
	@VENV=$(VENV) bash requirements/lock-image.sh $(if $(UPGRADE),--upgrade)

image: ## Build the container image with podman or docker (VARIANT=gpu for CUDA, BUILD_ARGS=...)
	@engine=$$(command -v podman || command -v docker) || \
		{ echo "image: neither podman nor docker is on the PATH; install one of them" >&2; exit 1; }; \
	case $$engine in *podman) format="--format docker" ;; esac; \
	"$$engine" build $$format -f image/Dockerfile --build-arg VARIANT=$(VARIANT) \
		-t pneumo-tfx:$(VARIANT) $(BUILD_ARGS) .

sbom: $(READY) ## Write the bill of materials of the image's lock (CycloneDX)
	@$(BIN)/cyclonedx-py requirements --output-reproducible --spec-version 1.6 \
		--output-file sbom-$(VARIANT).cdx.json requirements/lock-image-$(VARIANT).txt

clean: ## Remove the environment, caches and build outputs; runs and models are kept
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
