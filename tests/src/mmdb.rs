//! A database of countries in MaxMind's format (version 2.0): a search tree, its data, and what describes both.

/// The nodes of a whole tree of eight levels: one level for each bit of an address's first byte.
const NODES: u32 = 255;

/// The countries of some /8 networks of IPv4, by their first byte; nothing is known of the others.
pub fn of_countries(networks: &[(u8, &str)]) -> Vec<u8> {
    let mut data = Vec::new();
    // A record is the number of a node, the number of nodes where nothing is known, or beyond that a place in the data,
    // counted from the 16 zero bytes before it.
    let mut leaves = [NODES; 256];
    for (first_byte, code) in networks {
        leaves[usize::from(*first_byte)] = NODES + 16 + u32::try_from(data.len()).unwrap();
        data.extend(map(&[("country", map(&[("iso_code", text(code))]))]));
    }
    let mut file = Vec::new();
    for node in 0..NODES {
        for child in [2 * node + 1, 2 * node + 2] {
            let record = if child < NODES { child } else { leaves[(child - NODES) as usize] };
            file.extend(&record.to_be_bytes()[1..]);
        }
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    file.extend(map(&[
        ("binary_format_major_version", number(UINT16, 2)),
        ("binary_format_minor_version", number(UINT16, 0)),
        // A uint64 of no bytes, which is 0, and an array of nothing: both are of the extended types.
        ("build_epoch", vec![0x00, 9 - 7]),
        ("database_type", text("Test-Country")),
        ("description", map(&[])),
        ("ip_version", number(UINT16, 4)),
        ("languages", vec![0x00, 11 - 7]),
        ("node_count", number(UINT32, NODES as u8)),
        ("record_size", number(UINT16, 24)),
    ]));
    file
}

const UINT16: u8 = 5;
const UINT32: u8 = 6;

/// A control byte has the type in its upper three bits and the length, below 29, in the others.
fn control(kind: u8, length: usize) -> u8 {
    assert!(length < 29);
    kind << 5 | length as u8
}

fn text(text: &str) -> Vec<u8> {
    [&[control(2, text.len())], text.as_bytes()].concat()
}

fn number(kind: u8, value: u8) -> Vec<u8> {
    vec![control(kind, 1), value]
}

fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![control(7, entries.len())];
    for (key, value) in entries {
        bytes.extend(text(key));
        bytes.extend(value);
    }
    bytes
}
