"""The library: everything that needs neither TFX nor a server. One folder for each subject."""
