# tg_explain_pages(OUT): write OUT, a C file holding every tools/explain/TGnnnn.md. A code without a page, or a page
# without a code, is a warning here and a failure of tests/jobs/test_cli.py.
function(tg_explain_pages out)
    file(GLOB pages CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/explain/TG*.md)
    file(READ ${CMAKE_SOURCE_DIR}/base/codes.h table)
    string(REGEX MATCHALL "X\\([0-9][0-9][0-9][0-9]" rows "${table}")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${pages} ${CMAKE_SOURCE_DIR}/base/codes.h)
    set(body "")
    set(count 0)
    foreach(row ${rows})
        string(REGEX MATCH "[0-9][0-9][0-9][0-9]" code "${row}")
        set(page ${CMAKE_SOURCE_DIR}/tools/explain/TG${code}.md)
        if(NOT EXISTS ${page})
            message(WARNING "TG${code} has no page: write tools/explain/TG${code}.md")
            continue()
        endif()
        file(READ ${page} text)
        string(REPLACE "\\" "\\\\" text "${text}")
        string(REPLACE "\"" "\\\"" text "${text}")
        string(REPLACE "\n" "\\n\"\n     \"" text "${text}")
        string(APPEND body "    {${code}, \"${text}\"},\n")
        math(EXPR count "${count} + 1")
    endforeach()
    list(LENGTH pages page_count)
    if(NOT page_count EQUAL count)
        message(WARNING "tools/explain holds pages of codes that base/codes.h does not have")
    endif()
    file(CONFIGURE OUTPUT ${out} @ONLY CONTENT
"/* Generated from tools/explain/. */
#include \"tools/explain.h\"

const struct tg_explain_page tg_explain_pages[] = {
@body@};
const uint32_t tg_explain_page_count = @count@;
")
endfunction()
