/* SPDX-License-Identifier: BSD-3-Clause */
/* The sizes in which items are stored: blocks that divide a slab with little left over. */
#ifndef STORAGE_ITEM_CLASS_H
#define STORAGE_ITEM_CLASS_H

#include <stdint.h>

#include "storage/item.h"

/* Bytes of a slab: what a core takes from the node's memory at a time, for blocks of one class. */
#define ITEM_SLAB_SIZE 65536u

/* Classes are numbered 0..ITEM_CLASS_COUNT-1 by growing block size: every 8 bytes up to 256, then
 * about seven per doubling, each the largest block of which so many fit a slab.
 */
#define ITEM_CLASS_COUNT 74u

/* Block size in bytes of class 'item_class'. Pure; any thread. */
uint32_t item_class_block_size(uint32_t item_class);

/* The class with the smallest block that holds 'size' bytes, 1..ITEM_SIZE_MAX. Pure; any thread. A
 * search: keep the answer where speed counts.
 */
uint32_t item_class_of_size(uint32_t size);

#endif
