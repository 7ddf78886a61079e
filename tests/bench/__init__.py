# SPDX-License-Identifier: MIT
"""The benchmark: the same work on several mounts of the same servers, over wires of different lengths.

    __main__    the command line, and the order in which everything is measured
    tree        the files on the server, and their copies to compare with
    site        a server at the end of a wire; what it was asked, in round trips
    peers       ftpfs, rclone mount, curlftpfs, as mounts; the raw programs
    bounded     processes with a limit, mounts that are undone whatever happens
    work        what is done on a mount, timed, in a process of its own
    rows        the rows of the table: reading and listing (rows), writing (rows_write), sizes (rows_size)
    record      measurements of several runs
    report      the table, and the page that is written with it
"""
