//! Tells the program how it is built, as cargo says it: `up` and `--version` print it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let [profile, level] =
        ["PROFILE", "OPT_LEVEL"].map(|name| std::env::var(name).unwrap_or_default());
    println!("cargo::rustc-env=FANFOLD_PROFILE={profile}");
    println!("cargo::rustc-env=FANFOLD_OPT_LEVEL={level}");
}
