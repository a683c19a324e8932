use super::*;

#[test]
fn a_duration_has_a_unit_or_that_of_its_setting() {
    for (text, millis) in [
        ("10", 10),
        ("250ms", 250),
        ("10s", 10_000),
        ("5 m", 300_000),
        ("1h", 3_600_000),
        ("7d", 604_800_000),
    ] {
        let expected = Millis(Duration::from_millis(millis));
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
    assert_eq!("10".parse(), Ok(Seconds(Duration::from_secs(10))));
    assert_eq!("10ms".parse(), Ok(Seconds(Duration::from_millis(10))));
    for text in [
        "",
        "s",
        "10 x",
        "-1s",
        "1.5s",
        "99999999999999999999",
        "999999999999999999d",
    ] {
        assert!(text.parse::<Millis>().is_err(), "{text}");
    }
}

#[test]
fn a_size_has_a_unit_or_counts_bytes() {
    for (text, bytes) in [
        ("0", 0),
        ("512", 512),
        ("64 KiB", 65_536),
        ("10MiB", 10_485_760),
        ("1 gib", 1 << 30),
        ("1 MB", 1_000_000),
    ] {
        assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
    }
    for text in ["", "MiB", "10 MiBs", "1.5 MiB", "99999999999999999999 GiB"] {
        assert!(text.parse::<Bytes>().is_err(), "{text}");
    }
    let large: Result<u8, _> = Bytes(256).into_field();
    assert!(large.is_err());
}

#[test]
fn zero_is_not_positive() {
    assert!("0".parse::<Positive<Whole<u32>>>().is_err());
    assert!("0s".parse::<Positive<Millis>>().is_err());
    assert!("0 MiB".parse::<Positive<Bytes>>().is_err());
    assert_eq!("1".parse(), Ok(Positive(Whole(1_u32))));
}
