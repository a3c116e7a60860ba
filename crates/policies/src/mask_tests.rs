use proptest::prelude::*;
use serde_json::json;

use super::*;

fn key() -> HashKey {
    HashKey::new(b"0123456789abcdef0123456789abcdef")
}

fn mask(function: MaskingFunction, options: Json) -> Mask {
    Mask::parse(function, Some(&options)).unwrap()
}

#[test]
fn text_masks() {
    let partial = mask(MaskingFunction::Partial, json!({}));
    for (value, masked) in [
        ("4111111111111111", "************1111"),
        ("1234", "****"),
        ("12345", "*2345"),
        ("", ""),
        ("日本語です", "*本語です"),
    ] {
        assert_eq!(partial.apply_text(value, &key()), masked);
    }
    let ends = mask(MaskingFunction::Partial, json!({"keep_first": 2, "keep_last": 1, "fill": "x"}));
    assert_eq!(ends.apply_text("secret", &key()), "sexxxt");
    let email = mask(MaskingFunction::Email, json!({}));
    for (value, masked) in [
        ("anna@example.com", "a***@example.com"),
        ("a@example.com", "***@example.com"),
        ("\"a@b\"@example.com", "\"***@example.com"),
        ("nothing", "***"),
        ("", "***"),
    ] {
        assert_eq!(email.apply_text(value, &key()), masked);
    }
    let digits = mask(MaskingFunction::RegexReplace, json!({"pattern": "[0-9]+", "replacement": "#"}));
    assert_eq!(digits.apply_text("tel 0123-456", &key()), "tel #-#");
}

#[test]
fn a_card_keeps_what_may_be_seen_of_it() {
    let last = mask(MaskingFunction::Card, json!({}));
    let both = mask(MaskingFunction::Card, json!({"keep_first": 6, "keep_last": 4}));
    for (value, of_last, of_both) in [
        ("4111 1111 1111 1234", "**** **** **** 1234", "4111 11** **** 1234"),
        ("341111-111111234", "******-*****1234", "341111-*****1234"),
        ("not a card", "**********", "**********"),
        ("12345678901", "***********", "***********"),
        ("", "", ""),
    ] {
        assert_eq!(
            (last.apply_text(value, &key()).as_str(), both.apply_text(value, &key()).as_str()),
            (of_last, of_both)
        );
    }
}

#[test]
fn a_token_can_be_had_back() {
    let token = mask(MaskingFunction::Tokenize, json!({})).apply_text("anna@example.com", &key());
    assert!(token.starts_with("tok_") && !token.contains("anna"));
    assert_eq!(key().detokenize(&token).as_deref(), Some("anna@example.com"));
    assert_eq!(HashKey::new(b"another").detokenize(&token), None);
}

#[test]
fn hash_keeps_equality_and_depends_on_the_key() {
    let hash = mask(MaskingFunction::Hash, json!({}));
    let (one, again) = (hash.apply_text("anna", &key()), hash.apply_text("anna", &key()));
    assert_eq!(one, again);
    assert_eq!(one.len(), 32);
    assert_ne!(one, hash.apply_text("bert", &key()));
    assert_ne!(one, hash.apply_text("anna", &HashKey::new(b"another")));
}

#[test]
fn options_are_checked() {
    use MaskingFunction::*;
    for (function, options, field) in [
        (Card, json!({"keep_last": 5}), "options.keep_last"),
        (Card, json!({"keep_first": 7}), "options.keep_first"),
        (Bucket, json!({}), "options"),
        (Bucket, json!({"size": 0}), "options.size"),
        (Bucket, json!({"bounds": [3, 3]}), "options.bounds"),
        (Expression, json!({}), "options"),
        (Expression, json!({"expression": "1 / a"}), "options.expression"),
        (Tokenize, json!({"x": 1}), "options.x"),
        (Redact, json!({"x": 1}), "options.x"),
        (Partial, json!({"keep": 1}), "options.keep"),
        (Partial, json!({"keep_first": -1}), "options.keep_first"),
        (Partial, json!({"fill": "**"}), "options.fill"),
        (Constant, json!({}), "options"),
        (Constant, json!({"value": []}), "options.value"),
        (RoundNumber, json!({"to": 0}), "options.to"),
        (RoundNumber, json!({}), "options"),
        (TruncateDate, json!({"unit": "aeon"}), "options.unit"),
        (RegexReplace, json!({"pattern": "("}), "options.pattern"),
        (RegexReplace, json!({"pattern": "(a{1000}){1000}"}), "options.pattern"),
        (RegexReplace, json!({"pattern": ""}), "options.pattern"),
        (Hash, json!([]), "options"),
    ] {
        let error = Mask::parse(function, Some(&options)).unwrap_err();
        assert_eq!(error.field, field, "{function:?} {options}");
    }
}

#[test]
fn dates_are_cut_to_the_unit() {
    let moment = NaiveDate::from_ymd_opt(2024, 8, 15).unwrap().and_hms_opt(13, 45, 59).unwrap();
    for (unit, expected) in [
        (DateUnit::Hour, "2024-08-15 13:00:00"),
        (DateUnit::Day, "2024-08-15 00:00:00"),
        (DateUnit::Week, "2024-08-12 00:00:00"),
        (DateUnit::Month, "2024-08-01 00:00:00"),
        (DateUnit::Quarter, "2024-07-01 00:00:00"),
        (DateUnit::Year, "2024-01-01 00:00:00"),
    ] {
        assert_eq!(truncate_moment(moment, unit).unwrap().to_string(), expected);
    }
}

pub(crate) fn any_mask() -> impl Strategy<Value = Mask> {
    prop_oneof![
        Just(Mask::NullValue),
        Just(Mask::Redact),
        Just(Mask::Hash),
        Just(Mask::Email),
        Just(Mask::Tokenize),
        (0..7_u32, 0..5_u32).prop_map(|(keep_first, keep_last)| Mask::Card { keep_first, keep_last }),
        (1..5_u64).prop_map(|size| Mask::Bucket(Buckets::parse(&json!({"size": size})).unwrap())),
        prop::collection::btree_set(0..4_i64, 1..4)
            .prop_map(|bounds| Mask::Bucket(Buckets::parse(&json!({"bounds": bounds})).unwrap())),
        "[a-c]".prop_map(|name| Mask::Expression(Arc::new(Expression::parse(&name).unwrap()))),
        "[a-c]{0,2}".prop_map(|value| Mask::Constant { value }),
        (0..4_u32, 0..4_u32, prop_oneof![Just('*'), Just('x')])
            .prop_map(|(keep_first, keep_last, fill)| Mask::Partial { keep_first, keep_last, fill }),
        (1..5_u64).prop_map(|to| Mask::RoundNumber { to }),
        prop_oneof![Just(DateUnit::Day), Just(DateUnit::Year)].prop_map(|unit| Mask::TruncateDate { unit }),
        "[a-c]{1,2}"
            .prop_map(|p| Mask::RegexReplace { pattern: Arc::new(Regex::new(&p).unwrap()), replacement: "#".into() }),
    ]
}

proptest! {
    #[test]
    fn strictness_is_a_total_order(a in any_mask(), b in any_mask(), c in any_mask()) {
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
        if a == b {
            prop_assert_eq!(format!("{a:?}"), format!("{b:?}"));
        }
    }

    #[test]
    fn text_masks_are_total(mask in any_mask(), value in ".*") {
        let masked = mask.apply_text(&value, &key());
        if let Mask::Partial { .. } = mask {
            prop_assert_eq!(masked.chars().count(), value.chars().count());
        }
    }

    #[test]
    fn rounding_stays_in_range_and_near(value in any::<i64>(), to in 1..=i64::MAX as u64) {
        let (value, min, max) = (i128::from(value), i128::from(i64::MIN), i128::from(i64::MAX));
        let rounded = round_integer(value, to, min, max);
        prop_assert!((min..=max).contains(&rounded));
        prop_assert_eq!(rounded % i128::from(to), 0);
        prop_assert!((rounded - value).abs() <= i128::from(to));
    }
}
