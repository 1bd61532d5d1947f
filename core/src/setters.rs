//! Setters of configurations.

/// Makes a setter of each field: a configuration that may get more of them cannot be written as a literal elsewhere. For the
/// crates of this workspace.
#[doc(hidden)]
#[macro_export]
macro_rules! setters {
    ($($field:ident: $type:ty,)*) => {
        $(#[doc = concat!("Sets [`", stringify!($field), "`](#structfield.", stringify!($field), ").")]
        #[must_use]
        pub const fn $field(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        })*
    };
}
