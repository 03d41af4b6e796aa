//! Messages of the contract with values that nobody should send.

use bytes::Bytes;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value, prost::Message,
};
use rand::{RngExt, rngs::SmallRng, seq::IndexedRandom};
use sluice_domain::Crc32c;

/// Stands for bytes that are not UTF-8 until the message is encoded.
const NO_UTF8_MARK: &str = "~no-utf8~";
const NO_UTF8: &[u8; 9] = b"\xff\xfe\xc0\x80\xed\xa0\x80\xf8\xf9";

const TEXTS: [&str; 28] = [
    "",
    " ",
    "../../../../etc/passwd",
    "/etc/passwd",
    "..",
    "a/../b",
    "a//b",
    "C:\\windows\\system32",
    "a\0b",
    "line\r\nset-cookie: x",
    "\u{202e}gpj.exe",
    "\u{feff}",
    "e\u{301}",
    "💥/💥",
    "%00%2e%2e%2f",
    "%s%n%x",
    "'; DROP TABLE uploads; --",
    "\"-1\"",
    "{}",
    "null",
    "image/png\r\n",
    "application/",
    "*",
    "upl_00000000-0000-0000-0000-000000000000",
    "file_ffffffff-ffff-ffff-ffff-ffffffffffff",
    "upl_01890a5d-ac96-774b-bcce-b302099a8057 ",
    "AAAAAAAAAAAAAAAAAAAAAA==",
    NO_UTF8_MARK,
];

const NUMBERS: [i64; 20] = [
    i64::MIN,
    i64::MIN + 1,
    i32::MIN as i64,
    -1_048_577,
    -1,
    0,
    1,
    2,
    7,
    1023,
    1_048_575,
    1_048_576,
    1_048_577,
    2_097_153,
    i32::MAX as i64,
    i32::MAX as i64 + 1,
    1 << 45,
    1 << 62,
    i64::MAX - 1,
    i64::MAX,
];

/// How many bytes each known upload and file has.
pub(super) const KNOWN_SIZE: i64 = 3000;

/// What exists on the server, so that some messages get past the first look-up.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) uploads: Vec<String>,
    pub(super) files: Vec<String>,
}

/// Makes messages out of one stream of randomness.
pub(super) struct Generator<'a> {
    pub(super) rng: SmallRng,
    pub(super) known: &'a Known,
    /// How many of 100 values are hostile; the others are plausible.
    hostility: u32,
    /// Whether the next message is the first of its stream.
    first: bool,
}

impl<'a> Generator<'a> {
    pub(super) fn new(rng: SmallRng, known: &'a Known) -> Self {
        Self { rng, known, hostility: 0, first: true }
    }

    /// One encoded message, sometimes damaged after it was encoded.
    pub(super) fn message(&mut self, descriptor: &MessageDescriptor) -> Bytes {
        self.hostility = *[3, 10, 30, 90].choose(&mut self.rng).expect("not empty");
        let mut bytes = self.build(descriptor, 0).encode_to_vec();
        replace_marks(&mut bytes);
        if self.rng.random_ratio(1, 8) {
            self.damage(&mut bytes);
        }
        self.first = false;
        bytes.into()
    }

    fn build(&mut self, descriptor: &MessageDescriptor, depth: u32) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        for field in descriptor.fields() {
            let wanted = if self.is_hostile() { 50 } else { self.plausibility(&field) };
            if depth < 4 && self.rng.random_range(0..100) < wanted {
                let value = self.field(&field, depth);
                message.set_field(&field, value);
            }
        }
        if descriptor.name() == "ChecksummedData" && !self.is_hostile() {
            self.fill_frame(&mut message);
        }
        if descriptor.name() == "DeclaredPart" && !self.is_hostile() {
            self.fill_part(&mut message);
        }
        message
    }

    /// Makes a frame right: some bytes and their CRC32C.
    fn fill_frame(&mut self, frame: &mut DynamicMessage) {
        let content = vec![7; self.rng.random_range(0..3000)];
        frame.set_field_by_name("crc32c", Value::U32(Crc32c::of(&content).0));
        frame.set_field_by_name("content", Value::Bytes(content.into()));
    }

    /// Makes a declared part right: the only one that known uploads have.
    fn fill_part(&mut self, part: &mut DynamicMessage) {
        part.set_field_by_name("part_number", Value::I32(1));
        part.set_field_by_name("size", Value::I64(KNOWN_SIZE));
        part.set_field_by_name("crc32c", Value::U32(self.rng.random()));
    }

    fn field(&mut self, field: &FieldDescriptor, depth: u32) -> Value {
        if field.is_map() {
            let entries = self.count(70);
            let key = |generator: &mut Self| MapKey::String(generator.text("key"));
            let map = (0..entries).map(|_| (key(self), Value::String(self.text("value"))));
            return Value::Map(map.collect());
        }
        if field.is_list() {
            let entries = self.count(1200);
            return Value::List((0..entries).map(|_| self.single(field, depth)).collect());
        }
        self.single(field, depth)
    }

    fn single(&mut self, field: &FieldDescriptor, depth: u32) -> Value {
        match field.kind() {
            Kind::String => Value::String(self.text(field.name())),
            Kind::Bytes => Value::Bytes(self.bytes()),
            Kind::Bool => Value::Bool(self.rng.random()),
            Kind::Enum(_) => Value::EnumNumber(if self.is_hostile() {
                self.number() as i32
            } else {
                self.rng.random_range(0..4)
            }),
            Kind::Message(message) => Value::Message(self.build(&message, depth + 1)),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                Value::I64(self.plausible_number(field.name()))
            }
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                Value::I32(self.plausible_number(field.name()) as i32)
            }
            Kind::Uint64 | Kind::Fixed64 => Value::U64(self.number() as u64),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(self.number() as u32),
            Kind::Double => Value::F64(f64::NAN),
            Kind::Float => Value::F32(f32::NEG_INFINITY),
        }
    }

    fn text(&mut self, field: &str) -> String {
        if self.is_hostile() {
            return match self.rng.random_range(0..20) {
                0 => "x".repeat(self.rng.random_range(100..5000)),
                1 => "a/".repeat(self.rng.random_range(1..800)),
                2 => char::from_u32(self.rng.random()).unwrap_or('\u{7f}').to_string(),
                _ => (*TEXTS.choose(&mut self.rng).expect("not empty")).to_owned(),
            };
        }
        let known = match field {
            "upload_id" | "upload_ids" => self.known.uploads.choose(&mut self.rng),
            "file_id" | "file_ids" | "id" => self.known.files.choose(&mut self.rng),
            _ => None,
        };
        match (known, field) {
            (Some(id), _) => id.clone(),
            (None, "content_type") => "image/png".to_owned(),
            (None, "page_token" | "etag" | "resume_token" | "delimiter") => String::new(),
            (None, "paths") => "name".to_owned(),
            (None, _) => format!("{field}-{}", self.rng.random::<u64>()),
        }
    }

    fn bytes(&mut self) -> Bytes {
        let length = match self.rng.random_range(0..10) {
            0 => 0,
            1..=5 => 32,
            _ => self.rng.random_range(0..4000),
        };
        vec![self.rng.random(); length].into()
    }

    fn plausible_number(&mut self, field: &str) -> i64 {
        match field {
            _ if self.is_hostile() => self.number(),
            "writer_epoch" => 1,
            "preferred_part_size" => 1 << 20,
            "write_offset" | "offset" => 0,
            "part_number" => 1,
            _ => self.rng.random_range(0..3000),
        }
    }

    fn number(&mut self) -> i64 {
        match self.rng.random_range(0..4) {
            0 => self.rng.random(),
            _ => *NUMBERS.choose(&mut self.rng).expect("not empty"),
        }
    }

    fn count(&mut self, many: usize) -> usize {
        if self.hostility > 50 && self.rng.random_ratio(1, 10) {
            many
        } else {
            self.rng.random_range(0..4)
        }
    }

    fn is_hostile(&mut self) -> bool {
        self.rng.random_range(0..100) < self.hostility
    }

    /// In how many of 100 plausible messages a field is set.
    fn plausibility(&self, field: &FieldDescriptor) -> u32 {
        let opens = field.containing_oneof().is_some_and(|it| it.name() == "first_message");
        match field.name() {
            _ if opens && !self.first => 0,
            "upload_id"
            | "file_id"
            | "writer_epoch"
            | "name"
            | "request_id"
            | "file"
            | "checksummed_data"
            | "write_offset"
            | "id"
            | "parts"
            | "preferred_part_size" => 90,
            "page_token" | "expected_checksums" | "final_size" => 10,
            _ => 30,
        }
    }

    /// Cuts, flips, repeats or extends an encoded message.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.rng.random_range(0..=bytes.len());
        match self.rng.random_range(0..6) {
            0 => bytes.truncate(at),
            1 if !bytes.is_empty() => {
                let at = at % bytes.len();
                bytes[at] ^= 1 << self.rng.random_range(0..8);
            }
            2 => bytes.extend((0..self.rng.random_range(1..64)).map(|_| self.rng.random::<u8>())),
            // A field that the contract does not have, of each wire type.
            3 => bytes.extend([0xf8, 0x7f, 1, 0xfa, 0x7f, 2, b'x', b'y', 0xfd, 0x7f, 1, 2, 3, 4]),
            // Groups that open and never close.
            4 => bytes.extend([0x0b; 200]),
            // A field number of zero, and a length that wraps around.
            _ => bytes.extend([0x02, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        }
    }
}

fn replace_marks(bytes: &mut [u8]) {
    let mark = NO_UTF8_MARK.as_bytes();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(mark.len()).position(|window| window == mark) {
        at += found;
        bytes[at..at + NO_UTF8.len()].copy_from_slice(NO_UTF8);
    }
}
