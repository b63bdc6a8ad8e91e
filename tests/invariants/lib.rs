//! Tests of the source text, in a package without dependencies so that they compile and run before everything else.
