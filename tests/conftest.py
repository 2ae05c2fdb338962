import os

# Before any import of TensorFlow: quiet, and no search for a GPU that tests do not use.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
# TFX puts a stand-in into tfx_bsl without which TFDV cannot be imported: it must come first.
os.environ.setdefault("MPLBACKEND", "Agg")
