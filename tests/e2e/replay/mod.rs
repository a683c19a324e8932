//! Tests of `fanfold replay …` against real logs.

mod broken;
mod bundle;
mod cluster;
mod documents;
mod lost;
mod scene;
mod story;
mod views;
mod writes;
