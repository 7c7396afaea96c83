/*
 * The first instructions of a guest kernel, up to kernel_main.
 *
 * The launcher jumps to the *physical* address of `start`, at ring 1, with flat segments, no stack and no IDT. What
 * memory looks like depends on the host: up to Linux 3.0 it has made page tables that map RAM twice, at 0 and at
 * KERNEL_BASE; from 3.1 on, virtual addresses are physical ones until the first NEW_PGTABLE. Low addresses work either
 * way. So this code builds page tables of its own down there, says LGUEST_INIT, loads them, and jumps up.
 */
#include <ring1/lguest.h>

#define PHYSICAL(symbol) ((symbol) - KERNEL_BASE)

/* In boot_params, which is at physical 0. */
#define RAMDISK_SIZE 0x21C
#define MEMORY_SIZE  0x2D8

#define LINEAR_LIMIT 0x38000000 /* 896 MiB: more RAM than this is not mapped */
#define ENTRY_FLAGS  0x063      /* present, writable, accessed, dirty */

        .section .text.start, "ax"
        .cfi_sections .debug_frame

        .globl start
        .type start, @function
start:
        .cfi_startproc
        .cfi_undefined %eip
        cld
        movl    $PHYSICAL(boot_stack_top), %esp

        /* The launcher loads what is in the file; zeroing the rest is left to the kernel. */
        xorl    %eax, %eax
        movl    $PHYSICAL(bss_start), %edi
        movl    $bss_words, %ecx
        rep stosl

        movl    MEMORY_SIZE, %edx
        call    find_abi
        movl    %eax, PHYSICAL(lguest_abi)
        cmpl    $LINEAR_LIMIT, %edx
        jbe     1f
        movl    $LINEAR_LIMIT, %edx
1:      call    build_page_tables
        movl    %edi, PHYSICAL(first_free_page)

        /* What the guest publishes. The place depends on the generation of the host. */
        movl    $PHYSICAL(lguest_data) + LGUEST_DATA_LATE_2_6_32, %edi
        cmpl    $LGUEST_ABI_2_6_32, PHYSICAL(lguest_abi)
        je      1f
        movl    $PHYSICAL(lguest_data) + LGUEST_DATA_LATE_3, %edi
1:      movl    $noirq_start, 0(%edi)
        movl    $noirq_end, 4(%edi)
        movl    $KERNEL_BASE, 8(%edi)
        movl    $LGUEST_SYSCALL_VEC, 12(%edi)

        movl    $LHCALL_LGUEST_INIT, %eax
        movl    $PHYSICAL(lguest_data), %ebx
        int     $LGUEST_TRAP_ENTRY

        movl    $LHCALL_NEW_PGTABLE, %eax
        movl    $PHYSICAL(boot_directory), %ebx
        int     $LGUEST_TRAP_ENTRY

        movl    $high, %eax
        jmp     *%eax
        .cfi_endproc
        .size start, . - start

/*
 * In: EDX = bytes of RAM. Out: EAX = the generation of the ABI.
 * Nothing says so outright. But a 2.6.32 host has made page tables, in the last pages of RAM (below the initrd): the
 * directory has equal entries for 0 and for KERNEL_BASE, and these lead to a table that begins with a mapping of
 * page 0. A 3.x host has left that memory zero.
 */
        .type find_abi, @function
find_abi:
        .cfi_startproc
        movl    %edx, %ebx
        subl    RAMDISK_SIZE, %ebx
        movl    -4096(%ebx), %ecx                  /* directory[0] */
        testl   $1, %ecx
        jz      1f
        movl    -4096 + (KERNEL_BASE >> 20)(%ebx), %eax /* directory[768] */
        xorl    %ecx, %eax
        testl   $~0x60, %eax                       /* accessed and dirty come and go */
        jnz     1f
        andl    $~0xFFF, %ecx
        cmpl    %ebx, %ecx                         /* a table below the directory? */
        jae     1f
        movl    (%ecx), %eax
        andl    $~0x60, %eax
        cmpl    $7, %eax
        jne     1f
        movl    $LGUEST_ABI_2_6_32, %eax
        ret
1:      movl    $LGUEST_ABI_3, %eax
        ret
        .cfi_endproc
        .size find_abi, . - find_abi

/*
 * In: EDX = bytes of RAM to map. Out: EDI = the first page after the tables.
 * Fills boot_directory: RAM at 0 (to be able to go on when it is loaded) and at KERNEL_BASE, with the same tables. They
 * are put behind the kernel.
 */
        .type build_page_tables, @function
build_page_tables:
        .cfi_startproc
        movl    $PHYSICAL(kernel_end), %edi      /* where the next table entry goes */
        movl    $PHYSICAL(boot_directory), %ebx    /* where the next directory entry goes */
        movl    %edx, %ecx
        shrl    $12, %ecx                          /* pages to go */
        movl    $ENTRY_FLAGS, %edx                 /* the next table entry */
.Lnext_table:
        leal    ENTRY_FLAGS(%edi), %eax
        movl    %eax, (%ebx)
        movl    %eax, KERNEL_BASE >> 20(%ebx)
        addl    $4, %ebx
.Lnext_page:
        jecxz   .Lno_page
        movl    %edx, (%edi)
        addl    $0x1000, %edx
        decl    %ecx
        jmp     .Lentry_done
.Lno_page:
        movl    $0, (%edi)                         /* beyond the end of RAM */
.Lentry_done:
        addl    $4, %edi
        testl   $0xFFF, %edi
        jnz     .Lnext_page
        testl   %ecx, %ecx
        jnz     .Lnext_table
        ret
        .cfi_endproc
        .size build_page_tables, . - build_page_tables

/* From here on the code runs where it is linked. */
        .type high, @function
high:
        .cfi_startproc
        .cfi_undefined %eip
        movl    $boot_stack_top, %esp
        xorl    %ebp, %ebp                         /* the end of the chain of frames */
        call    kernel_main
1:      jmp     1b
        .cfi_endproc
        .size high, . - high

        .bss
        .balign PAGE_SIZE
        .globl boot_stack, boot_directory
boot_stack:
        .skip   2 * PAGE_SIZE
boot_stack_top:
boot_directory:
        .skip   PAGE_SIZE
        .size boot_stack, 2 * PAGE_SIZE
        .size boot_directory, PAGE_SIZE
        .type boot_stack, @object
        .type boot_directory, @object

        .section .note.GNU-stack, "", @progbits
