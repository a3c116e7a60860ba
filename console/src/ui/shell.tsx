// What stands around every page: places at the side, the palette, and on a phone a bar with a menu.

import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { Menu as MenuIcon, Search, X } from "lucide-react";
import { Suspense, lazy, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { session } from "../session";
import { useMay, useWhose } from "../standing";
import { Button, Note, Skeleton, showActive } from "./basics";
import { PersonMenu, PlaceMenu } from "./person";
import { groups } from "./places";
import { proof } from "./proof";
import { whenAsked } from "./unsaved";

// What stands above the page is loaded when it is first wanted.
const Palette = lazy(async () => ({ default: (await import("./palette")).Palette }));
const Drawer = lazy(async () => ({ default: (await import("./drawer")).Drawer }));
const Reauthentication = lazy(async () => ({ default: (await import("./reauthentication")).Reauthentication }));
const isMac = navigator.platform.startsWith("Mac");

export function Brand() {
    return (
        <Link to="/" className="brand">
            <img src="/icon.svg" alt="" />
            RiverGen
        </Link>
    );
}

function Places() {
    const may = useMay();
    return (
        <nav className="nav" aria-label="Main">
            {groups.map((group) => {
                const shown = group.places.filter((place) => !place.needs || may(place.needs));
                return (
                    shown.length > 0 && (
                        <div className="nav-group" key={group.title ?? ""}>
                            {group.title && <div className="nav-title">{group.title}</div>}
                            {shown.map((place) => (
                                <Link
                                    key={place.path}
                                    to={place.path}
                                    activeOptions={{ exact: place.path === "/organization" || place.path === "/" }}
                                    activeProps={{ className: "active" }}
                                >
                                    <place.icon size={16} />
                                    {place.label}
                                </Link>
                            ))}
                        </div>
                    )
                );
            })}
        </nav>
    );
}

export function Shell() {
    const [palette, setPalette] = useState(false);
    const [drawer, setDrawer] = useState(false);
    const asked = useSyncExternalStore(proof.subscribe, proof.asked);
    const { pathname, href } = useLocation();
    const first = useRef(true);
    useEffect(() => {
        const key = (event: KeyboardEvent) => {
            if (event.key.toLowerCase() === "k" && (isMac ? event.metaKey : event.ctrlKey)) {
                event.preventDefault();
                setPalette((open) => !open);
            }
        };
        addEventListener("keydown", key);
        return () => removeEventListener("keydown", key);
    }, []);
    // A form that asks is beneath the phone's menu.
    useEffect(() => whenAsked(() => setDrawer(false)), []);
    // After a change of page a screen reader begins at its title.
    useEffect(() => {
        setDrawer(false);
        if (first.current) first.current = false;
        else
            requestAnimationFrame(() => document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true }));
        document.querySelector(".side .nav .active")?.scrollIntoView({ block: "nearest" });
        scrollTo(0, 0);
    }, [pathname]);
    useEffect(() => showActive(document.querySelector<HTMLElement>("main .tabs")), [href]);
    const whose = useWhose();
    const notice = session.notice();
    const side = (
        <>
            <PlaceMenu />
            <Button
                className="wide"
                style={{ justifyContent: "flex-start", minHeight: 34, color: "var(--soft)", fontWeight: 450 }}
                icon={<Search size={15} />}
                onClick={() => {
                    setDrawer(false);
                    setPalette(true);
                }}
            >
                <span className="grow" style={{ textAlign: "left" }}>
                    Go to…
                </span>
                <kbd>{isMac ? "⌘ K" : "Ctrl K"}</kbd>
            </Button>
            <Places />
            <PersonMenu />
        </>
    );
    return (
        <div className="shell">
            <a className="skip" href="#main">
                Skip to content
            </a>
            <aside className="side" aria-label="Navigation">
                <Brand />
                {side}
            </aside>
            <header className="bar">
                <Brand />
                <Button kind="quiet" icon={<Search size={18} />} aria-label="Go to" onClick={() => setPalette(true)} />
                <Button kind="quiet" icon={<MenuIcon size={20} />} aria-label="Menu" onClick={() => setDrawer(true)} />
            </header>
            {drawer && (
                <Suspense>
                    <Drawer onClose={() => setDrawer(false)}>
                        <div className="row apart">
                            <Brand />
                            <Button
                                kind="quiet"
                                icon={<X size={18} />}
                                aria-label="Close"
                                onClick={() => setDrawer(false)}
                            />
                        </div>
                        {side}
                    </Drawer>
                </Suspense>
            )}
            <main className="main" id="main" tabIndex={-1}>
                {notice && (
                    <div style={{ maxWidth: 1240, margin: "0 auto 16px" }}>
                        <Note tone="warn">{notice}</Note>
                    </div>
                )}
                <Suspense
                    key={whose}
                    fallback={
                        <div className="page">
                            <Skeleton lines={6} />
                        </div>
                    }
                >
                    <Outlet />
                </Suspense>
            </main>
            {palette && (
                <Suspense>
                    <Palette onClose={() => setPalette(false)} />
                </Suspense>
            )}
            {asked && (
                <Suspense>
                    <Reauthentication asked={asked} />
                </Suspense>
            )}
        </div>
    );
}
