//! What programs that were compiled with a header rely on, one line each: symbols and their types, the layout of
//! structures, the values of constants.
//!
//! The header is read as cbindgen writes it; offsets, sizes and values come from the C compiler. Two of these descriptions
//! say what a program would trip over: [`breaks`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

/// Describes the binary interface of a header, for 64-bit machines.
pub(crate) fn describe(header: &str) -> String {
    let declared = Declared::read(header);
    let mut interface = declared.ask_the_compiler(header);
    for name in declared.opaque {
        writeln!(interface, "opaque {name}: by pointer alone").expect("a string grows");
    }
    for (name, signature) in declared.functions {
        writeln!(interface, "function {name}: {signature}").expect("a string grows");
    }
    interface
}

/// Says what a program compiled with the `old` interface would trip over in a library with the `new` one.
///
/// Nothing if the version of the interface was raised. Functions, constants and structures may be added; fields to the end
/// of structures that begin with their size.
pub(crate) fn breaks(old: &str, new: &str) -> Vec<String> {
    let (old, new) = (entries(old), entries(new));
    let version = |of: &BTreeMap<&str, &str>| of.get(VERSION).and_then(|number| number.parse().ok()).unwrap_or(0_u32);
    if version(&new) > version(&old) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (key, was) in &old {
        match new.get(key) {
            None => found.push(format!("gone: {key}: {was}")),
            Some(is) if is == was || grows(key, was, is, &old) => {}
            Some(is) => found.push(format!("changed: {key}: from \"{was}\" to \"{is}\"")),
        }
    }
    for (key, is) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
        let Some((structure, _)) = key.split_once('.') else { continue };
        let Some(was) = old.get(structure) else { continue };
        if !is_sized(structure, &old) {
            found.push(format!("added to a structure that does not begin with its size: {key}: {is}"));
        } else if number_after(is, "at ") < number_before(was, " bytes") {
            found.push(format!("lies where an older program has padding, wanted at {was} or later: {key}: {is}"));
        }
    }
    found
}

/// A structure that begins with its size may become longer.
fn grows(key: &str, was: &str, is: &str, old: &BTreeMap<&str, &str>) -> bool {
    let bytes = |of| number_before(of, " bytes");
    let alignment = |of: &str| of.split_once("aligned").map(|(_, to)| to.to_owned());
    is_sized(key, old) && bytes(is) > bytes(was) && alignment(is) == alignment(was)
}

fn is_sized(structure: &str, interface: &BTreeMap<&str, &str>) -> bool {
    interface.get(format!("{structure}.size").as_str()).is_some_and(|field| field.starts_with("size_t at 0,"))
}

fn number_before(text: &str, mark: &str) -> u64 {
    let (before, _) = text.split_once(mark).unwrap_or_default();
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn number_after(text: &str, mark: &str) -> u64 {
    let (_, after) = text.split_once(mark).unwrap_or_default();
    after.split(',').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Lines of a description by what they are about; what a merge has left between them is passed over.
fn entries(interface: &str) -> BTreeMap<&str, &str> {
    interface.lines().filter_map(|line| line.split_once(": ")).collect()
}

#[derive(Default)]
struct Declared {
    /// Integers: macros and enumerators.
    constants: Vec<String>,
    /// Types with a size: structures and enumerations, with the fields of the former: type and name.
    types: Vec<(String, Vec<(String, String)>)>,
    opaque: Vec<String>,
    functions: BTreeMap<String, String>,
}

impl Declared {
    fn read(header: &str) -> Self {
        let mut declared = Self::default();
        let mut code = String::new();
        let mut of_cxx_alone = false;
        for line in without_comments(header).lines() {
            match line.strip_prefix('#') {
                Some("ifdef __cplusplus") => of_cxx_alone = true,
                Some(line) if line.starts_with("endif") => of_cxx_alone = false,
                Some(line) => declared.read_macro(line),
                None if of_cxx_alone => {}
                None => writeln!(code, "{line}").expect("a string grows"),
            }
        }
        let mut rest = code.as_str();
        while let Some(end) = end_of_declaration(rest) {
            declared.read_declaration(&one_line(&rest[..end]));
            rest = &rest[end + 1..];
        }
        assert!(rest.trim().is_empty(), "not understood in the header: {rest}");
        declared
    }

    fn read_macro(&mut self, line: &str) {
        if let Some((name, value)) = line.strip_prefix("define ").and_then(|line| line.split_once(' ')) {
            assert!(value.parse::<i64>().is_ok(), "{name} is {value}, wanted an integer: teach {} the rest", file!());
            self.constants.push(name.to_owned());
        }
    }

    fn read_declaration(&mut self, text: &str) {
        let body = || text.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map(|(body, _)| body);
        let name = || text.rsplit([' ', '}']).next().unwrap_or_default().to_owned();
        if text.starts_with("typedef enum ") {
            let enumerators = body().unwrap_or_default().split(',').filter_map(|item| item.split_whitespace().next());
            self.constants.extend(enumerators.map(str::to_owned));
            self.types.push((name(), Vec::new()));
        } else if text.starts_with("typedef struct ") {
            match body() {
                Some(fields) => {
                    let fields = fields.split(';').map(str::trim).filter(|field| !field.is_empty()).map(type_and_name);
                    self.types.push((name(), fields.collect()));
                }
                None => self.opaque.push(name()),
            }
        } else {
            let (result_and_name, parameters) = text.split_once('(').expect("a function");
            let (result, name) = type_and_name(result_and_name);
            let parameters = parameters.strip_suffix(')').expect("a function");
            let signature = format!("{result} ({})", types_of(parameters));
            assert!(self.functions.insert(name, signature).is_none(), "declared twice: {text}");
        }
    }

    /// Compiles and runs a program that prints what only the compiler knows.
    fn ask_the_compiler(&self, header: &str) -> String {
        let mut program = "#include <stdio.h>\n#include \"talkpath.h\"\nint main(void)\n{\n".to_owned();
        for name in &self.constants {
            writeln!(program, "printf(\"constant {name}: %lld\\n\", (long long){name});").expect("a string grows");
        }
        for (name, fields) in &self.types {
            let size = format!("sizeof({name}), _Alignof({name})");
            writeln!(program, "printf(\"type {name}: %zu bytes, aligned to %zu\\n\", {size});")
                .expect("a string grows");
            for (of, field) in fields {
                let place = format!("offsetof({name}, {field}), sizeof((({name} *)0)->{field})");
                writeln!(program, "printf(\"type {name}.{field}: {of} at %zu, %zu bytes\\n\", {place});")
                    .expect("a string grows");
            }
        }
        program.push_str("return 0;\n}\n");

        let folder = std::env::temp_dir().join(format!("talkpath-abi-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder to compile in");
        std::fs::write(folder.join("talkpath.h"), header).expect("a file to compile");
        std::fs::write(folder.join("abi.c"), program).expect("a file to compile");
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let compiled = Command::new(compiler).current_dir(&folder).args(["-std=c11", "-o", "abi", "abi.c"]).status();
        assert!(compiled.expect("a C compiler").success(), "the program that prints the layout does not compile");
        let printed = Command::new(folder.join("abi")).output().expect("what was compiled runs");
        std::fs::remove_dir_all(&folder).expect("the folder goes");
        String::from_utf8(printed.stdout).expect("ASCII")
    }
}

fn without_comments(header: &str) -> String {
    let mut out = String::new();
    let mut rest = header;
    while let Some((before, comment)) = rest.split_once("/*") {
        out.push_str(before);
        rest = comment.split_once("*/").expect("a comment ends").1;
    }
    out.push_str(rest);
    out.lines().map(|line| line.split("//").next().unwrap_or_default().trim_end()).collect::<Vec<_>>().join("\n")
}

/// Where the first semicolon outside of braces is.
fn end_of_declaration(code: &str) -> Option<usize> {
    let mut depth = 0;
    code.bytes().position(|byte| {
        depth += i32::from(byte == b'{') - i32::from(byte == b'}');
        byte == b';' && depth == 0
    })
}

fn one_line(code: &str) -> String {
    code.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The types of parameters: their names are nobody's business.
fn types_of(parameters: &str) -> String {
    let mut types = vec![String::new()];
    let mut depth = 0;
    for character in parameters.chars() {
        depth += i32::from(character == '(') - i32::from(character == ')');
        if character == ',' && depth == 0 {
            types.push(String::new());
        } else if let Some(last) = types.last_mut() {
            last.push(character);
        }
    }
    types.iter().map(|of| type_and_name(of).0).collect::<Vec<_>>().join(", ")
}

/// Parts `const char *name`, `char id[40]` and `void (*call)(int number)` into a type and a name.
fn type_and_name(declaration: &str) -> (String, String) {
    let declaration = declaration.trim();
    if let Some((result, rest)) = declaration.split_once("(*") {
        let (name, parameters) = rest.split_once(")(").expect("a pointer to a function");
        let parameters = parameters.strip_suffix(')').expect("a pointer to a function");
        return (format!("{result}(*)({})", types_of(parameters)), name.to_owned());
    }
    let (declaration, length) = declaration.split_at(declaration.find('[').unwrap_or(declaration.len()));
    let word = |character: char| !(character.is_alphanumeric() || character == '_');
    let name = declaration.rsplit(word).next().unwrap_or_default();
    let of = declaration[..declaration.len() - name.len()].trim_end();
    if of.is_empty() || ["struct", "enum", "const"].contains(&of) {
        return (declaration.to_owned(), String::new());
    }
    (format!("{of}{length}"), name.to_owned())
}

const VERSION: &str = "constant TALKPATH_ABI_VERSION";

#[test]
fn what_would_break_a_program_is_found() {
    let old = "constant TALKPATH_ABI_VERSION: 0\nconstant A: 1\ntype S: 16 bytes, aligned to 8\n\
               type S.size: size_t at 0, 8 bytes\ntype S.a: bool at 8, 1 bytes\ntype T: 4 bytes, aligned to 4\n\
               type T.a: int32_t at 0, 4 bytes\nfunction f: void (int)\n";
    let after = |from: &str, to: &str| breaks(old, &old.replace(from, to));
    let added = |line: &str| breaks(old, &format!("{old}{line}\n"));
    assert!(breaks(old, old).is_empty());
    assert!(added("function g: void (int)").is_empty() && added("constant B: 2").is_empty());
    assert!(added("type U: 8 bytes, aligned to 8").is_empty() && added("type U.a: double at 0, 8 bytes").is_empty());
    assert_eq!(after("function f: void (int)", ""), ["gone: function f: void (int)"]);
    assert_eq!(after("void (int)", "void (long)").len(), 1);
    assert_eq!(after("constant A: 1", "constant A: 2").len(), 1);
    // At the end of a structure with a size; in one without; where an older program has padding.
    let longer = "24 bytes, aligned to 8\ntype S.b: uint64_t at 16, 8 bytes";
    assert!(after("16 bytes, aligned to 8", longer).is_empty());
    assert_eq!(after("4 bytes, aligned to 4", "8 bytes, aligned to 4\ntype T.b: int32_t at 4, 4 bytes").len(), 2);
    assert_eq!(added("type S.b: bool at 9, 1 bytes").len(), 1);
    assert_eq!(after("type S.a: bool at 8", "type S.a: bool at 9").len(), 1);
    // A raised version says that it is meant; a lowered one does not.
    assert!(breaks(old, "constant TALKPATH_ABI_VERSION: 1\n").is_empty());
    assert!(!breaks("constant TALKPATH_ABI_VERSION: 2\nconstant A: 1", old).is_empty());
}

#[test]
fn declarations_are_parted_as_c_does() {
    let parted = type_and_name;
    let pair = |of: &str, name: &str| (of.to_owned(), name.to_owned());
    assert_eq!(parted("const char *name"), pair("const char *", "name"));
    assert_eq!(parted("char id[40]"), pair("char[40]", "id"));
    assert_eq!(parted("struct T **out"), pair("struct T **", "out"));
    assert_eq!(parted("void"), pair("void", ""));
    assert_eq!(parted("void (*call)(struct A *a, int n)"), pair("void (*)(struct A *, int)", "call"));
}
