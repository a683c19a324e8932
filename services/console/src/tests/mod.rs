//! Every page, made from a bundle: a fold in, HTML out.

mod hostile;
mod pages;
mod tenants;
mod travel;
pub mod world;
