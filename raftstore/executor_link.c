/* More names for a file.
 *
 * A file has one row, under its path, until it gets a second name. Then its
 * attributes move to a home row, named by its id, and the rows of its names say
 * nothing but that id. Content and extended attributes are named by the id anyway.
 * It stays so when only one name is left: which one, nobody knows.
 */
#include "raftstore/command.h"
#include "raftstore/executor_run.h"

int run_link(struct run *run, const Keelfspb__LinkRequest *link)
{
    char from[PATH_BYTES_MAX + 1];
    char to[PATH_BYTES_MAX + 1];
    struct attr_row row;
    struct attr_row other;
    struct parent parent;
    int code = run_take_path(link->from, from);

    if (code == 0) {
        code = run_take_path(link->to, to);
    }
    if (code == 0) {
        code = run_find_opened(run, from, link->id, &row);
    }
    if (code != 0) {
        return code;
    }
    if (row.attr.type == FILE_DIRECTORY) {
        return KE_IS_DIR;
    }
    if (run_find(run, to, &other)) {
        return KE_EXISTS;
    }
    code = run_find_parent(run, to, &parent);
    if (code == 0 && row.attr.nlink >= COMMAND_LINKS_MAX) {
        code = KE_TOO_MANY_LINKS;
    }
    if (code != 0) {
        return code;
    }
    row.attr.nlink++;
    row.attr.ctime_ns = run->time_ns;
    row.attr.version = run_next_revision(run);
    if (!row.linked) {
        row.linked = true;
        run_put_name(run, from, &row);
    }
    run_put_name(run, to, &row);
    run_report(run, CHANGE_CREATED, to, NULL, &row.attr);
    run_touch_parent(run, &parent);
    run_answer(run, &row);
    return 0;
}
