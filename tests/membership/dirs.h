/* A directory of its own for a test. */
#ifndef KEELFS_TESTS_MEMBERSHIP_DIRS_H
#define KEELFS_TESTS_MEMBERSHIP_DIRS_H

#define DIRS_PATH_MAX 128

void dirs_make(char path[DIRS_PATH_MAX]);
void dirs_remove(const char *path);
/* Makes a directory below. */
void dirs_make_sub(const char *path);
/* Copies a directory whole; what `to` was is gone. */
void dirs_copy(const char *from, const char *to);

#endif
