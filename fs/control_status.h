/* `.keelfs/status`: what a person asks a node first. */
#ifndef KEELFS_FS_CONTROL_STATUS_H
#define KEELFS_FS_CONTROL_STATUS_H

#include <stdio.h>

struct fs;

void control_write_status(struct fs *fs, FILE *out);

#endif
