/* What files contain: versions that all nodes see, and what a node alone sees over
 * them. A part of state.h; a layer is laid over a version as a publish would be: first
 * it is truncated, then bytes are written, then others are appended.
 */
#ifndef KEELFS_TESTS_MODEL_CONTENT_H
#define KEELFS_TESTS_MODEL_CONTENT_H

#include "state.h"
#include "texts.h"

#include <stddef.h>
#include <stdint.h>

/* Writes `data` at the offset, zeros before it where nothing is. Returns the size. */
size_t content_put(char *bytes, size_t size, size_t offset, const char *data, size_t data_size);

/* The file has this content now, by what was done on `node`, whose handles see it. */
void content_add_version(struct state *state, uint8_t node, uint8_t inode, uint16_t content);

/* A removed file is truncated on `node`, for those who have it open there. */
void content_truncate_left(struct state *state, uint8_t node, uint8_t inode, uint8_t size);

/* What the node's writer has written is there for all. Of a removed file it stays on
 * its node. */
void content_publish(struct state *state, struct texts *texts, uint8_t node);

#endif
