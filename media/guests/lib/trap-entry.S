/*
 * From a gate to trap_dispatch and back; and switching stacks.
 *
 * Each vector has a stub that makes all frames alike: it pushes a 0 where the processor pushed no error code, then the
 * vector. Vectors 0 to 63 (exceptions and interrupts) and 0x80 (system calls) have one.
 */
#include <ring1/lguest.h>
#include <ring1/segments.h>

        .cfi_sections .debug_frame
        .text

/* Where EIP, CS, EFLAGS are, for debuggers: the stack of the interrupted code begins above EFLAGS. */
        .macro frame_above_eip bytes
        .cfi_startproc simple
        .cfi_signal_frame
        .cfi_def_cfa %esp, \bytes + 4
        .cfi_offset %eip, -4
        .cfi_escape 0x15, 4, 0x7E       /* ESP = CFA + 8, see the DWARF standard: DW_CFA_val_offset_sf */
        .endm

        .macro trap_stub vector
        .balign 16
trap_stub_\vector:
        .if \vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17
        frame_above_eip 4
        .else
        frame_above_eip 0
        pushl   $0
        .cfi_adjust_cfa_offset 4
        .endif
        pushl   $\vector
        .cfi_adjust_cfa_offset 4
        jmp     trap_entry
        .cfi_endproc
        .size trap_stub_\vector, . - trap_stub_\vector
        .type trap_stub_\vector, @function
        .section .rodata
        .long   trap_stub_\vector
        .text
        .endm

/* One word per stub: 0 to 63, then 0x80. */
        .section .rodata
        .balign 4
        .globl trap_stubs
        .type trap_stubs, @object
trap_stubs:
        .text
        .altmacro
        .set vector, 0
        .rept 64
        trap_stub %vector
        .set vector, vector + 1
        .endr
        trap_stub 128
        .noaltmacro
        .section .rodata
        .size trap_stubs, . - trap_stubs
        .text

        .balign 16
        .type trap_entry, @function
trap_entry:
        frame_above_eip 8               /* the vector and the error code are there already */
        pushal
        .cfi_adjust_cfa_offset 32
        .cfi_rel_offset %eax, 28
        .cfi_rel_offset %ecx, 24
        .cfi_rel_offset %edx, 20
        .cfi_rel_offset %ebx, 16
        .cfi_rel_offset %ebp, 8
        .cfi_rel_offset %esi, 4
        .cfi_rel_offset %edi, 0
        pushl   %ds
        pushl   %es
        pushl   %fs
        pushl   %gs
        .cfi_adjust_cfa_offset 16
        movl    $KERNEL_DS, %eax
        movl    %eax, %ds
        movl    %eax, %es
        xorl    %eax, %eax
        movl    %eax, %fs               /* not ours: LOAD_TLS may not pull a segment away that is in use */
        movl    %eax, %gs
        cld
        movl    %esp, %eax
        pushl   %eax                    /* struct trap_frame * */
        .cfi_adjust_cfa_offset 4
        call    trap_dispatch
        addl    $4, %esp
        .cfi_adjust_cfa_offset -4

        .globl trap_exit
trap_exit:
        popl    %gs
        popl    %fs
        popl    %es
        popl    %ds
        .cfi_adjust_cfa_offset -16
        popal
        .cfi_adjust_cfa_offset -32
        .cfi_restore %eax
        .cfi_restore %ecx
        .cfi_restore %edx
        .cfi_restore %ebx
        .cfi_restore %ebp
        .cfi_restore %esi
        .cfi_restore %edi
        addl    $8, %esp                /* vector and error code */
        .cfi_adjust_cfa_offset -8

/*
 * IRET does not change IF at ring 1, and the guest's IF is a word in memory anyway. The word must change before the
 * IRET; but an interrupt between the two would come too early, on a stack that is about to go. So the host does not
 * deliver any in this range. The SS prefix is needed because DS may be the user's already.
 */
        .globl interrupt_return, noirq_start, noirq_end
interrupt_return:
        pushl   %eax
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset %eax, 0
        movl    12(%esp), %eax          /* EFLAGS of the frame */
        andl    $LGUEST_IRQ_ON, %eax
noirq_start:
        movl    %eax, %ss:lguest_data + LGUEST_DATA_IRQ_ENABLED
        popl    %eax
        .cfi_adjust_cfa_offset -4
        .cfi_restore %eax
        iret
noirq_end:
        .cfi_endproc
        .size trap_entry, . - trap_entry

/* _Noreturn void trap_return(struct trap_frame *frame) */
        .globl trap_return
        .type trap_return, @function
trap_return:
        .cfi_startproc
        movl    4(%esp), %esp
        jmp     trap_exit
        .cfi_endproc
        .size trap_return, . - trap_return

/* void stack_switch(u32 *from, u32 to); stack_prepare in traps.c knows what it leaves on the stack. */
        .globl stack_switch
        .type stack_switch, @function
stack_switch:
        .cfi_startproc
        movl    4(%esp), %eax
        movl    8(%esp), %ecx
        pushl   %ebp
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset %ebp, 0
        pushl   %ebx
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset %ebx, 0
        pushl   %esi
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset %esi, 0
        pushl   %edi
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset %edi, 0
        movl    %esp, (%eax)
        movl    %ecx, %esp
        popl    %edi
        popl    %esi
        popl    %ebx
        popl    %ebp
        .cfi_def_cfa_offset 4
        .cfi_restore %edi
        .cfi_restore %esi
        .cfi_restore %ebx
        .cfi_restore %ebp
        ret
        .cfi_endproc
        .size stack_switch, . - stack_switch

        .section .note.GNU-stack, "", @progbits
