//! The macro that declares the settings and the limits of every part.

/// Declares a configuration for each part of the program. The table of a part has its settings, and
/// after them its limits. The flags, the environment, the file and the documents follow from it.
///
/// A setting with `#[secret Secret]` is secret, and one with `#[secret Url]` may have credentials in
/// it. All that masks such a value, and reads it from a file, follows from this word.
macro_rules! settings {
    (@secrecy) => { Secrecy::Open };
    (@secrecy $secrecy:ident) => { Secrecy::$secrecy };
    ($(
        $(#[doc = $doc:literal])+
        $owner:ident: $config:ident for $part:ident {
            $($(#[secret $secret:ident])? $field:ident: $kind:ty as $read:ty = $name:literal, $default:literal, $about:literal;)+
        }
        limits {
            $($limit:ident: $limit_kind:ty as $limit_read:ty = $limit_name:literal, $value:literal, $meaning:literal;)*
        }
    )+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, Debug)]
            pub struct $config {
                $(#[doc = $about] pub $field: $kind,)+
                $(#[doc = $meaning] pub $limit: $limit_kind,)*
            }

            impl $config {
                pub(super) fn parse(layers: &Layers) -> Result<Self, SettingsError> {
                    Ok(Self {
                        $($field: layers.get::<$read, $kind>($name)?,)+
                        $($limit: layers.get::<$limit_read, $limit_kind>($limit_name)?,)*
                    })
                }
            }
        )+

        /// The effective settings of a process, by part.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $owner: $config,)+
            /// The credentials for `s3://` objects, from the environment.
            pub aws: Aws,
            /// The task types, from the file.
            pub task_types: TaskTypes,
            /// The tenants and their quotas, from the file.
            pub tenants: Tenants,
            pub(super) origins: Layers,
        }

        impl Settings {
            /// The settings of these layers, without task types.
            pub(super) fn parse(layers: Layers, aws: Aws) -> Result<Self, SettingsError> {
                Ok(Self {
                    $($owner: $config::parse(&layers)?,)+
                    aws,
                    task_types: TaskTypes::default(),
                    tenants: Tenants::default(),
                    origins: layers,
                })
            }
        }

        /// Every setting, in the order in which they are documented.
        pub(super) const SETTINGS: &[Definition] = &[
            $($(Definition {
                part: Part::$part,
                name: $name,
                default: $default,
                about: $about,
                secrecy: settings!(@secrecy $($secret)?),
                canonical: canonical::<$read>,
            },)+)+
        ];

        /// Every limit, in the order in which they are documented.
        pub(super) const LIMITS: &[Definition] = &[
            $($(Definition {
                part: Part::$part,
                name: $limit_name,
                default: $value,
                about: $meaning,
                secrecy: Secrecy::Open,
                canonical: canonical::<$limit_read>,
            },)*)+
        ];
    };
}
