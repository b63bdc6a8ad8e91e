use super::*;

/// An ELF header, followed by one program header of this type.
fn program(machine: u16, segment: u32) -> Vec<u8> {
    let mut program = MAGIC_64_BIT_LITTLE_ENDIAN.to_vec();
    program.resize(0x40, 0);
    program[0x12..0x14].copy_from_slice(&machine.to_le_bytes());
    program[0x20] = 0x40;
    program[0x36] = 56;
    program[0x38] = 1;
    program.extend(segment.to_le_bytes());
    program.resize(0x40 + 56, 0);
    program
}

#[test]
fn a_static_program_of_the_right_machine_is_usable() {
    assert_eq!(unusable(&program(MACHINE_X86_64, 1), "x86_64"), None);
    assert_eq!(unusable(&program(MACHINE_AARCH64, 1), "aarch64"), None);
}

#[test]
fn everything_else_is_refused_with_its_reason() {
    let reason = |program: &[u8]| unusable(program, "x86_64").unwrap();

    assert_eq!(reason(b"#!/bin/sh\n"), "it is not a 64-bit Linux program");
    assert_eq!(reason(&program(MACHINE_AARCH64, 1)), "it is built for aarch64, but the engine's machine is x86_64");
    assert_eq!(reason(&program(MACHINE_X86_64, SEGMENT_INTERPRETER)), "it is linked dynamically");
    assert_eq!(reason(&program(MACHINE_X86_64, 1)[..0x40]), "it is truncated");
}
