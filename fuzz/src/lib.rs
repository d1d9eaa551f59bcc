//! Properties of the parsers, shared by the fuzz targets and by the replay tests.
