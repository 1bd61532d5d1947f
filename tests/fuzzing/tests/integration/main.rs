//! The integration tests of the fuzz targets.

mod corpus;
