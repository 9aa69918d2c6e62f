/* A directory of its own for a test. */
#ifndef KEELFS_TESTS_MEMBERSHIP_DIRS_H
#define KEELFS_TESTS_MEMBERSHIP_DIRS_H

#define DIRS_PATH_MAX 128

void dirs_make(char path[DIRS_PATH_MAX]);
void dirs_remove(const char *path);

#endif
