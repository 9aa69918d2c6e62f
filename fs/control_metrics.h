/* `.keelfs/metrics`: numbers of this node in the text format of Prometheus. */
#ifndef KEELFS_FS_CONTROL_METRICS_H
#define KEELFS_FS_CONTROL_METRICS_H

#include <stdio.h>

struct fs;

void control_write_metrics(struct fs *fs, FILE *out);

#endif
