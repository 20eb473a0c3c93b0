//! The CPU feature class of this machine: training is bit-equal within one, not between them.

/// The class, such as `x86_64-v3`: the widest of the vector instruction sets that the libraries in use
/// switch on by themselves.
pub fn cpu_class() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return "x86_64-v4";
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            return "x86_64-v3";
        }
        "x86_64-v1"
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        std::env::consts::ARCH
    }
}
