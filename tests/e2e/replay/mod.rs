//! `fanfold replay …` against real logs.

mod broken;
mod bundle;
mod scene;
mod story;
mod writes;
