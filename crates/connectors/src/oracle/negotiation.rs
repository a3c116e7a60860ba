//! What both sides can do, and how each of the protocol's types is written, before anybody signs in.

use super::call::Message;

const PROTOCOL: u8 = 1;
const DATA_TYPES: u8 = 2;
pub(super) const UTF_8: u16 = 873;

/// What is spoken is Oracle 19's (each later server speaks it, too), or the server's where that is older.
pub(super) const FIELDS: u8 = 13;
/// Where a server's abilities tell its version.
pub(super) const FIELDS_AT: usize = 7;
/// From these on, a message has more in it.
pub(super) const FIELDS_OF_12_2: u8 = 8;
pub(super) const FIELDS_OF_12_2_EXTENDED: u8 = 9;
pub(super) const FIELDS_OF_18: u8 = 11;

/// The client's abilities, by their places: as python-oracledb has them, without what is not used (pooled servers, vectors,
/// pipelining).
fn abilities(fields: u8) -> [u8; 51] {
    let mut abilities = [0; 51];
    for (at, value) in [
        (0, 6),    // The version of SQL.
        (4, 0x6a), // Signing in: O5LOGON, O7LOGON, O8LOGON with long names.
        (FIELDS_AT, fields),
        (8, 1),     // The server converts what is defined.
        (9, 1),     // Selectors of queues.
        (15, 0x29), // Bit vectors, the status at a call's end, indicators.
        (16, 0x90), // Sessions' contexts.
        (17, 3),    // The version of types' descriptions.
        (18, 7),    // The version of calls, and their signature.
        (19, 3),
        (21, 1),    // The version of files.
        (23, 0xcf), // Large objects: lengths of eight bytes, encodings, lengths and data beforehand.
        (26, 4),
        (27, 1),    // Types have two bytes.
        (34, 12),   // The last function that a client calls.
        (37, 0xb0), // Implicit results, big chunks, the order of what comes back.
        (39, FIELDS_OF_12_2),
        (40, 4), // Notices between packets.
        (42, 5), // Large objects' data beforehand, up to 2 GB.
    ] {
        abilities[at] = value;
    }
    abilities
}

/// What is compatible with Oracle 8.1; values that are not copied, and texts of 32 KB.
const RUNNING_ABILITIES: [u8; 11] = [2, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0];

/// Types that are written as themselves, in the form that is the same on every machine: from, and to.
#[rustfmt::skip]
const AS_THEMSELVES: &[(u16, u16)] = &[
    (1, 1), (8, 8), (23, 26), (28, 33), (10, 11), (40, 41), (117, 117), (120, 120), (290, 294), (298, 313), (315, 323),
    (327, 329), (331, 331), (333, 346), (348, 349), (354, 355), (359, 359), (363, 363), (380, 391), (393, 401),
    (404, 407), (413, 427), (429, 433), (449, 450), (454, 463), (466, 486), (490, 496), (498, 502), (509, 510),
    (513, 514), (516, 543), (560, 560), (565, 565), (572, 576), (578, 578), (563, 564), (579, 585), (39, 39), (96, 96),
    (100, 102), (106, 106), (109, 109), (111, 115), (119, 119), (198, 198), (146, 146), (178, 183), (185, 190),
    (208, 208), (231, 231), (233, 233), (252, 252), (590, 605), (611, 616), (622, 632), (636, 640), (646, 647),
    (652, 652), (660, 661), (663, 663), (127, 127), (665, 665), (669, 670),
];
/// Types that are written as another one, or as Oracle itself does (10), as numbers and dates are.
#[rustfmt::skip]
const AS_OTHERS: &[(u16, u16, u16)] = &[
    (2, 2, 10), (12, 12, 10), (27, 27, 10), (3, 2, 10), (4, 2, 10), (5, 1, 1), (6, 2, 10), (7, 2, 10), (9, 1, 1),
    (15, 1, 1), (68, 2, 10), (91, 2, 10), (94, 1, 1), (95, 23, 1), (97, 96, 1), (104, 11, 1), (108, 109, 1),
    (110, 111, 1), (116, 102, 1), (152, 2, 10), (153, 2, 10), (154, 2, 10), (155, 1, 1), (156, 12, 10), (172, 2, 10),
    (184, 12, 10), (195, 112, 1), (196, 113, 1), (197, 114, 1), (232, 231, 1), (241, 109, 1),
];

pub(super) fn protocol() -> Vec<u8> {
    [&[PROTOCOL, 6, 0], &b"rivergen"[..], &[0]].concat()
}

pub(super) fn data_types(fields: u8) -> Vec<u8> {
    let mut message = Message::default();
    message.byte(DATA_TYPES);
    for _ in 0..2 {
        message.bytes(&UTF_8.to_le_bytes());
    }
    // Characters of several bytes, of which lengths are told.
    message.byte(3);
    message.value(&abilities(fields));
    message.value(&RUNNING_ABILITIES);
    let themselves = AS_THEMSELVES.iter().flat_map(|(first, last)| (*first..=*last).map(|number| (number, number, 1)));
    for (number, written_as, form) in themselves.chain(AS_OTHERS.iter().copied()) {
        for part in [number, written_as, form, 0] {
            message.bytes(&part.to_be_bytes());
        }
    }
    message.bytes(&[0, 0]);
    message.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_type_is_written_in_two_ways() {
        let themselves = AS_THEMSELVES.iter().flat_map(|(first, last)| *first..=*last);
        let mut numbers: Vec<_> = themselves.chain(AS_OTHERS.iter().map(|(number, ..)| *number)).collect();
        let all = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), all);
        assert!([1, 2, 8, 12, 23, 24, 96, 100, 101, 112, 113, 180, 181, 231].iter().all(|used| numbers.contains(used)));
    }
}
