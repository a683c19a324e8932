//! How this program is built, as cargo told the build script.

/// The allocator of the program.
const ALLOCATOR: &str = if cfg!(feature = "jemalloc") {
    "jemalloc"
} else {
    "the allocator of the C library"
};

/// The profile, the level of optimization and the allocator.
pub fn description() -> String {
    let (profile, level) = (env!("FANFOLD_PROFILE"), env!("FANFOLD_OPT_LEVEL"));
    format!("{profile}, optimization {level}, {ALLOCATOR}")
}

/// What `up` says about the build: whether it is the one that is installed and measured.
pub fn in_use() -> String {
    let is_optimized = !cfg!(debug_assertions) && cfg!(feature = "jemalloc");
    let kind = if is_optimized {
        "the optimized build"
    } else {
        "a first look; `make install` builds the optimized program"
    };
    format!("{kind} ({})", description())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_with_the_checks_of_tests_is_a_first_look() {
        assert!(cfg!(debug_assertions), "tests run with their checks");
        assert!(in_use().starts_with("a first look"), "{}", in_use());
        assert!(
            description().starts_with("debug, optimization"),
            "{}",
            description()
        );
    }
}
