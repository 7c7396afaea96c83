/*
 * Calling a function that may trap, with a way out: trap_catch and trap_escape are to traps what setjmp and longjmp are
 * to functions. See ring1/traps.h.
 */
        .cfi_sections .debug_frame
        .text

/* u32 trap_catch(void (*function)(void *), void *argument) */
        .globl trap_catch, trap_caught, catch_stack
        .type trap_catch, @function
trap_catch:
        .cfi_startproc
        pushl   %ebp
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset %ebp, 0
        movl    %esp, %ebp
        .cfi_def_cfa_register %ebp
        pushl   %ebx
        .cfi_rel_offset %ebx, -4
        pushl   %esi
        .cfi_rel_offset %esi, -8
        pushl   %edi
        .cfi_rel_offset %edi, -12
        pushl   catch_stack             /* calls can be nested */
        movl    %esp, catch_stack
        pushl   12(%ebp)
        call    *8(%ebp)
        xorl    %eax, %eax
trap_caught:                            /* trap_escape comes here, with EAX set */
        movl    catch_stack, %esp
        popl    catch_stack
        popl    %edi
        popl    %esi
        popl    %ebx
        popl    %ebp
        .cfi_def_cfa %esp, 4
        ret
        .cfi_endproc
        .size trap_catch, . - trap_catch

        .bss
        .balign 4
        .type catch_stack, @object
        .size catch_stack, 4
catch_stack:
        .skip   4

        .section .note.GNU-stack, "", @progbits
